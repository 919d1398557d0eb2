"""Checks that /docs works in a browser without internet access: headless Chromium opens it, sees the operations, tries out
POST /v1/exports and gets a 202, also below a path of nginx. The screenshot is .work/swagger.png."""

import json
import os
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from programs import WORK, own_environment
from reverse_proxy import nginx

QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(params=["straight", "below a path"])
def docs(place, request):
    """The URL of Swagger UI."""
    if request.param == "straight":
        yield f"{place.url}/docs"
    else:
        with nginx("swagger", place.url, "/tableferry/") as url:
            yield f"{url}/docs/"


def test_try_it_out_gets_a_202_and_nothing_leaves_this_machine(place, docs):
    asked, errors = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["CHROMIUM"], args=QUIET, chromium_sandbox=False, env=own_environment(), timeout=60_000
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1500})
        page.set_default_timeout(20_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(docs)

        for call in ["post-/v1/exports", "get-/v1/exports", "get-/v1/exports/{id}", "delete-/v1/exports/{id}", "get-/livez"]:
            method, path = call.split("-", 1)
            block = page.locator(f".opblock-{method}").filter(has=page.locator(f'[data-path="{path}"]'))
            expect(block, call).to_have_count(1)

        block = page.locator(".opblock-post").filter(has=page.locator('[data-path="/v1/exports"]'))
        block.locator(".opblock-summary-control").click()
        block.get_by_role("button", name="Try it out").click()
        # The example is a valid request except for the names, which users change.
        suggested = json.loads(block.locator("textarea.body-param__text").input_value())
        body = suggested | {"table_arn": place.table, "s3_bucket": place.bucket}
        block.locator("textarea.body-param__text").fill(json.dumps(body, indent=2))
        # With the suggested `Prefer: wait=10` the status would be 200.
        block.locator('tr[data-param-name="Prefer"] input').fill("")
        with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            block.get_by_role("button", name="Execute").click()
        seen = answer.value
        expect(block.locator(".live-responses-table .response .response-col_status").first).to_contain_text(str(seen.status))
        block.evaluate("it => it.scrollIntoView()")
        page.screenshot(path=WORK / "swagger.png")
        assert seen.status == 202, (seen.status, seen.text(), body)
        browser.close()
    elsewhere = [url for url in asked if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1"]
    assert not elsewhere
    assert not errors
