"""The pages as a person meets them: a story from login to redelivery, then every page in light, in dark and on a phone.

    story.py ENGINE TOKEN RECEIVER DOWN FOLDER PATHS…

RECEIVER answers the first request with 500 and all others with 200, DOWN so the first three.
PATHS are all paths at which there is a page. For whatever goes wrong FOLDER has a picture and the text of the page.
"""

import pathlib
import re
import shutil
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

ENGINE, TOKEN, RECEIVER, DOWN, FOLDER, *PATHS = sys.argv[1:]
FOLDER = pathlib.Path(FOLDER)
CHROMIUM = "/usr/bin/chromium"
# No sandbox: the tests of a fresh machine run as root. The rest keeps it from calling home.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
LOOKS = {
    "light": ("light", {"width": 1280, "height": 900}),
    "dark": ("dark", {"width": 1280, "height": 900}),
    "phone": ("light", {"width": 390, "height": 844}),
}
PATIENCE = 20
complaints = []
# Complaints of which the pictures are there.
pictured = 0
# Statuses that are asked for, of which the browser is to tell.
expected = []


def tell(page, text):
    """What the browser says, in its own time, of a page that it could not load well."""
    told = next((status for status in expected if f"status of {status} " in text), None)
    if told:
        expected.remove(told)
    else:
        complaints.append(f"{page.url}: {text}")


def opened(browser):
    """A page, logged in by nobody; whatever it says or asks elsewhere is a complaint. Colours change at once: in between
    no contrast is right."""
    page = browser.new_context(base_url=ENGINE, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("console", lambda message: message.type == "error" and tell(page, message.text))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda request: request.url.startswith(ENGINE) or complaints.append(f"asks {request.url}"))
    return page


def keep(page, name):
    """Leaves what is on the screen to people, and tells where."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    kept = FOLDER / re.sub(r"\W+", "-", name).strip("-")
    page.screenshot(path=kept.with_suffix(".png"), full_page=True)
    kept.with_suffix(".html").write_text(page.content())
    return f"{kept}.png and .html"


def examine(page, name):
    """Looks at what is on the screen in every look. What was complained of until then is kept with it."""
    global pictured
    for look, (scheme, size) in LOOKS.items():
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(size)
        found = Axe().run(page)
        assert found.response["passes"], "no rule was held against the page"
        faults = [
            f"{rule['id']}: {rule['help']}: {node['html'][:200]}"
            for rule in found.response["violations"] for node in rule["nodes"]
        ]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            faults.append(f"{wide} px wider than the screen")
        if faults or len(complaints) > pictured:
            complaints.append(f"{name} in {look}: {'; '.join(faults) or 'the above'}; see {keep(page, f'{name} {look}')}")
            pictured = len(complaints)
    _, size = LOOKS["light"]
    page.set_viewport_size(size)


def publish(page, event_type, number):
    answer = page.request.post(
        "/api/v1/events",
        headers={"Authorization": f"Bearer {TOKEN}"},
        data={"event_type": event_type, "payload": {"id": number, "note": "<b>not bold</b> & 'quoted'"}},
    )
    assert answer.status == 202, answer.text()


def until(page, what, found):
    """Loads the page again until there is what is looked for."""
    end = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what} at {page.url}"
        page.reload()


def attempts(page, status):
    """By their badges: digits like these stand in times, too."""
    return page.locator("main li", has=page.get_by_text(status, exact=True))


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def log_in(page):
    page.goto("/")
    assert "/login" in page.url, "nobody gets in without a token"
    page.get_by_label("Token").fill("no-such-token")
    expected.append(401)
    press(page, "Log in")
    expect(page.get_by_text("This token opens nothing.")).to_be_visible()
    examine(page, "a login that is refused")
    page.get_by_label("Token").fill(TOKEN)
    press(page, "Log in")
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


def subscribe(page, event_type, endpoint, seconds):
    """The number of the new subscription."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Subscriptions").click()
    page.get_by_role("link", name="New subscription").click()
    page.get_by_label("Event type").select_option(event_type)
    page.get_by_label("Endpoint").fill(endpoint)
    page.locator("[name=retry]").select_option("fixed")
    page.locator("[name=seconds]").fill(seconds)
    press(page, "Subscribe")
    examine(page, "a new subscription")
    page.get_by_role("link", name="To the subscription").click()
    return re.search(r"/subscriptions/(\d+)", page.url).group(1)


def list_of(page, query, count, event_type="package.created"):
    """Opens the list of deliveries, and waits until it has so many."""
    page.goto(f"/deliveries?{query}")
    until(page, f"{count} deliveries", lambda: page.locator("main a", has_text=event_type).count() == count)


def fail_hold_and_come(page):
    """A delivery fails and comes after all; another one waits for the end of a pause."""
    number = subscribe(page, "package.created", RECEIVER, "2")
    publish(page, "package.created", 1)
    list_of(page, f"subscription={number}", 1)
    page.locator("main a", has_text="package.created").click()
    delivery = page.url
    until(page, "an attempt that failed", lambda: attempts(page, "500").count() == 1)
    until(page, "its retry", lambda: attempts(page, "200").count() == 1)
    assert page.locator("main b").count() == 0, "a payload is text, whatever is in it"

    page.goto("/subscriptions")
    press(page, f"Pause subscription {number}")
    page.goto("/subscriptions")
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    publish(page, "package.created", 2)
    list_of(page, f"subscription={number}&state=pending", 1)
    page.goto(f"/subscriptions/{number}")
    examine(page, "a paused subscription")
    press(page, "Resume")
    list_of(page, f"subscription={number}&state=delivered", 2)

    page.goto(delivery)
    press(page, "Attempt it now")
    page.goto(delivery)
    until(page, "the attempt that was ordered", lambda: attempts(page, "200").count() == 2)
    page.goto(f"/subscriptions/{number}")
    press(page, "Send a test")
    expect(page.get_by_role("heading", name="The test arrived")).to_be_visible()
    examine(page, "a test that arrived")
    return number, delivery


def redeliver_the_dead(page):
    """Three deliveries are given up, filtered, counted and attempted once more."""
    number = subscribe(page, "package.status.shipped", DOWN, "3600")
    for event in (1, 2, 3):
        publish(page, "package.status.shipped", event)
    list_of(page, f"subscription={number}&status=500", 3, "package.status.shipped")
    given_up = page.locator("main a", has_text="package.status.shipped")
    for path in given_up.evaluate_all("links => links.map((link) => link.getAttribute('href'))"):
        page.goto(path)
        press(page, "Skip")
    page.goto("/deliveries")
    page.get_by_label("State").select_option("dead")
    page.get_by_label("Subscription").fill(number)
    press(page, "Filter")
    expect(page.locator("main a", has_text="package.status.shipped")).to_have_count(3)
    page.get_by_role("link", name="Redeliver these").click()
    expect(page.get_by_role("heading", level=1, name="Redeliver 3", exact=True)).to_be_visible()
    examine(page, "a redelivery that is counted")

    asked = page.url
    page.get_by_role("link", name="order a replay").click()
    assert page.get_by_label("Subscription").input_value() == number, "the replay is of the same"
    assert page.locator("[name=states]:checked").evaluate_all("boxes => boxes.map((box) => box.value)") == ["dead"]
    page.goto(asked)
    press(page, "Attempt 3 now")
    expect(page.get_by_role("heading", level=1, name="3 of 3 arrived")).to_be_visible()
    examine(page, "a redelivery that arrived")
    page.goto(f"/deliveries?subscription={number}&state=dead")
    expect(page.get_by_text("There are none.")).to_be_visible()
    list_of(page, f"subscription={number}&state=delivered", 3, "package.status.shipped")


def replay(page, number):
    """What was delivered is put back, and comes again."""
    page.goto("/replays")
    page.get_by_label("Subscription").fill(number)
    for state in ("dead", "expired", "cancelled"):
        page.get_by_label(state, exact=True).uncheck()
    page.get_by_label("delivered", exact=True).check()
    press(page, "Count first")
    expect(page.get_by_text("2 deliveries would be put back.")).to_be_visible()
    examine(page, "a replay that is counted")
    press(page, "Order the replay")
    expect(page.get_by_text("The replay is ordered.")).to_be_visible()
    until(page, "the end of the replay", lambda: page.get_by_text("done", exact=True).count() == 1)
    list_of(page, f"subscription={number}&state=delivered", 2)


def make_a_bin_and_a_user(page, number):
    """Their paths."""
    page.goto("/playground")
    page.locator("[name=secret]").fill("a secret")
    expected.append(422)
    press(page, "Verify")
    examine(page, "a signature that cannot be verified")
    page.goto("/playground")
    press(page, "Make a bin")
    page.locator("[name=subscription]").fill(number)
    press(page, "Put it here")
    expect(page.get_by_text("What the subscription would send is in the bin.")).to_be_visible()
    bin_made = page.url.partition("?")[0]

    page.goto("/admin")
    page.get_by_text("Add a user").click()
    page.get_by_label("Name", exact=True).fill("shop")
    press(page, "Add")
    examine(page, "a user that was added")
    page.get_by_role("link", name="To the user").click()
    return bin_made, page.url


def see_refusals(page):
    expected.append(404)
    page.goto("/deliveries/1")
    examine(page, "a delivery that is not there")
    page.goto("/subscriptions/new")
    page.get_by_label("Event type").select_option("package.created")
    page.get_by_label("Endpoint").fill("ftp://shop.example/")
    expected.append(422)
    press(page, "Subscribe")
    examine(page, "a subscription that is refused")
    page.goto("/deliveries?state=dead&host=nowhere.example")
    expect(page.get_by_text("There are none.")).to_be_visible()
    examine(page, "an empty list")


def story(page):
    """Does all that a person does, and gives a path to each page whose path names something."""
    log_in(page)
    number, delivery = fail_hold_and_come(page)
    redeliver_the_dead(page)
    replay(page, number)
    bin_made, user = make_a_bin_and_a_user(page, number)
    see_refusals(page)
    page.goto("/events")
    event = page.locator("main a[href^='/events/']").first.get_attribute("href")
    return {
        "/subscriptions/{id}": f"/subscriptions/{number}",
        "/subscriptions/{id}/edit": f"/subscriptions/{number}/edit",
        "/deliveries/{id}": delivery,
        "/events/{id}": event,
        "/playground/bins/{id}": bin_made,
        "/admin/users/{id}": user,
    }


def tour(page, named):
    """Every page there is; one whose path names something needs the story to tell what."""
    for path in PATHS:
        if "{" in path and path not in named:
            complaints.append(f"{path}: the story goes to no page of this path")
            continue
        answer = page.goto(named.get(path, path))
        assert answer.status == 200 and not answer.request.redirected_from, f"{path}: {answer.status} at {page.url}"
        examine(page, path if path != "/" else "overview")


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = opened(browser)
        try:
            tour(page, story(page))
            assert not expected, f"the browser did not tell of {expected}"
        except BaseException:
            print(f"at {page.url}; see {keep(page, 'where it ended')}", file=sys.stderr)
            raise
        finally:
            browser.close()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(bool(complaints))


main()
