// Checks what Postrider sends. Standard library only.
//
// As a program it reads {"secret": …, "headers": {…}, "body": …} from standard input and exits with 0 when it is valid,
// with 1 when not; "now" (seconds) stands in for the clock. With the argument "contract" it checks X-Whisperer-Signature.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// The time between the sender's clock and ours.
const tolerance = 5 * time.Minute

// Verify tells whether one of the signatures in webhook-signature is ours; body has the bytes as they came.
func Verify(secret string, headers http.Header, body []byte, now time.Time) bool {
	sentAt := headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(sentAt, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	signed := append([]byte(headers.Get("webhook-id")+"."+sentAt+"."), body...)
	expected := "v1," + base64.StdEncoding.EncodeToString(sum(keyOf(secret), signed))
	for _, found := range strings.Split(headers.Get("webhook-signature"), " ") {
		if hmac.Equal([]byte(found), []byte(expected)) {
			return true
		}
	}
	return false
}

// Behind "whsec_" the key is base64; any other secret is taken as it is.
func keyOf(secret string) []byte {
	if strings.HasPrefix(secret, "whsec_") {
		if key, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):]); err == nil {
			return key
		}
	}
	return []byte(secret)
}

// VerifyContract tells whether X-Whisperer-Signature is ours. It has no time: an old message is as good as a new one.
func VerifyContract(secret string, headers http.Header, body []byte) bool {
	expected := "sha256=" + hex.EncodeToString(sum([]byte(secret), body))
	return hmac.Equal([]byte(headers.Get("X-Whisperer-Signature")), []byte(expected))
}

func sum(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func main() {
	var request struct {
		Secret, Body string
		Headers      map[string]string
		Now          *int64
	}
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	headers := http.Header{}
	for name, value := range request.Headers {
		headers.Set(name, value)
	}
	now := time.Now()
	if request.Now != nil {
		now = time.Unix(*request.Now, 0)
	}
	body := []byte(request.Body)
	valid := Verify(request.Secret, headers, body, now)
	if len(os.Args) > 1 && os.Args[1] == "contract" {
		valid = VerifyContract(request.Secret, headers, body)
	}
	if !valid {
		os.Exit(1)
	}
}
