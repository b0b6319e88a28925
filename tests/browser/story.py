"""The pages as a person meets them: a story from login to filter, then every page in light, in dark and on a phone.

    story.py ENGINE TOKEN RECEIVER FOLDER

RECEIVER answers the first delivery with 500 and all others with 200. What was on the screen when something went wrong
is left in FOLDER.
"""

import pathlib
import re
import sys
import time

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

ENGINE, TOKEN, RECEIVER, FOLDER = sys.argv[1:]
CHROMIUM = "/usr/bin/chromium"
# No sandbox: the tests of a fresh machine run as root. The rest keeps it from calling home.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
}
PATIENCE = 20
complaints = []


def watched(browser, **look):
    """A page of its own, logged in by nobody; whatever it says or asks elsewhere is a complaint."""
    page = browser.new_context(base_url=ENGINE, **look).new_page()
    page.on("console", lambda message: message.type == "error" and complaints.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on("request", lambda request: request.url.startswith(ENGINE) or complaints.append(f"asks {request.url}"))
    return page


def log_in(page):
    page.goto("/")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


def publish(page, number):
    answer = page.request.post(
        "/api/v1/events",
        headers={"Authorization": f"Bearer {TOKEN}"},
        data={"event_type": "package.created", "payload": {"id": number, "note": "<b>not bold</b> & 'quoted'"}},
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


def story(page):
    page.goto("/")
    assert "/login" in page.url, "nobody gets in without a token"
    page.get_by_label("Token").fill("no-such-token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("This token opens nothing.")).to_be_visible()
    # The browser tells of the 401 that was asked for.
    assert len(complaints) <= 1, complaints
    complaints.clear()
    log_in(page)

    page.get_by_role("link", name="Subscriptions").click()
    page.get_by_role("link", name="New subscription").click()
    page.get_by_label("Event type").select_option("package.created")
    page.get_by_label("Endpoint").fill(RECEIVER)
    page.locator("[name=retry]").select_option("fixed")
    page.locator("[name=seconds]").fill("2")
    page.get_by_role("button", name="Subscribe").click()
    page.get_by_role("link", name="To the subscription").click()
    subscription = page.url
    number = re.search(r"/subscriptions/(\d+)", subscription).group(1)

    publish(page, 1)
    page.goto(f"/deliveries?subscription={number}")
    until(page, "the delivery", lambda: page.locator("main a", has_text="package.created").count() == 1)
    page.locator("main a", has_text="package.created").click()
    delivery = page.url
    until(page, "an attempt that failed", lambda: attempts(page, "500").count() == 1)
    until(page, "its retry", lambda: attempts(page, "200").count() == 1)
    assert page.locator("main b").count() == 0, "a payload is text, whatever is in it"

    page.goto("/subscriptions")
    page.get_by_role("button", name=f"Pause subscription {number}").click()
    page.goto("/subscriptions")
    expect(page.get_by_text("paused", exact=True)).to_be_visible()
    publish(page, 2)
    page.goto(f"/deliveries?subscription={number}&state=pending")
    until(page, "the held delivery", lambda: page.locator("main a", has_text="package.created").count() == 1)
    page.goto(subscription)
    page.get_by_role("button", name="Resume").click()
    page.goto(f"/deliveries?subscription={number}&state=delivered")
    until(page, "what was held", lambda: page.locator("main a", has_text="package.created").count() == 2)

    page.goto(delivery)
    page.get_by_role("button", name="Attempt it now").click()
    page.goto(delivery)
    until(page, "the attempt that was ordered", lambda: attempts(page, "200").count() == 2)

    page.goto("/deliveries")
    page.get_by_label("State").select_option("dead")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("There are none.")).to_be_visible()
    page.get_by_label("State").select_option("delivered")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("main a", has_text="package.created")).to_have_count(2)
    page.goto("/events")
    event = page.locator("main a[href^='/events/']").first.get_attribute("href")
    return [subscription, f"{subscription}/edit", delivery, event]


def tour(page, name, paths):
    log_in(page)
    for path in paths:
        page.goto(path)
        found = Axe().run(page)
        assert found.response["passes"], "no rule was held against the page"
        complaints.extend(
            f"{name} {path}: {rule['id']}: {rule['help']}: {node['html'][:200]}"
            for rule in found.response["violations"] for node in rule["nodes"]
        )
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            complaints.append(f"{name} {path}: {wide} px wider than the screen")


def main():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = watched(browser)
        try:
            details = story(page)
            paths = ["/", "/subscriptions", "/subscriptions/new", "/deliveries", "/events", "/replays", "/playground", "/admin"]
            for name, look in LOOKS.items():
                page = watched(browser, **look)
                tour(page, name, paths + details)
        except BaseException:
            folder = pathlib.Path(FOLDER)
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / "page.png", full_page=True)
            (folder / "page.html").write_text(page.content())
            print(f"at {page.url}; see {folder}", file=sys.stderr)
            raise
        finally:
            browser.close()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    sys.exit(bool(complaints))


main()
