// node dashboard.test.mjs ADDRESS FOLDER TOKEN: looks at a running server's page as a person
// would; TOKEN "open": none is asked for. Exit status 77: no Chromium on this machine.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, runTests } from "../web/browser.mjs";

const [address, shots, token] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const browser = await openBrowser();

async function withPage({ width = 1280, colorScheme = "light" }, body) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  const faults = [];
  // Without a token the first look is refused, and Chromium says so.
  const expected = (text) => token !== "open" && /401 \(Unauthorized\)/.test(text);
  page.on("console", (message) => message.type() !== "log" && !expected(message.text()) && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => request.url().startsWith(address) || /^(data|blob):/.test(request.url()) || faults.push(`request: ${request.url()}`));
  await page.goto(address);
  if (token !== "open") {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Use it" }).click();
  }
  await page.locator("#flow svg").waitFor();
  await body(page);
  assert.deepEqual(faults, []);
  await context.close();
}

// A picture of 24x20 pixels, as the browser makes it.
const picture = (page) =>
  page.evaluate(() => {
    const canvas = document.createElement("canvas");
    canvas.width = 24;
    canvas.height = 20;
    const context = canvas.getContext("2d");
    context.fillStyle = "#c33";
    context.fillRect(3, 3, 12, 9);
    return canvas.toDataURL("image/png").split(",")[1];
  });

const tests = {
  async "every part is drawn, wide and narrow, light and dark"() {
    for (const [width, colorScheme] of [[1280, "light"], [1280, "dark"], [400, "light"]]) {
      await withPage({ width, colorScheme }, async (page) => {
        await page.waitForTimeout(3500); // a few looks
        for (const id of ["figures", "flow", "image", "exits", "charts"]) {
          assert.ok(await page.locator(`#${id}`).isVisible(), id);
        }
        assert.equal(await page.locator("#flow .band").count(), 4);
        assert.equal(await page.locator("#charts svg[role=img]").count(), 3);
        assert.doesNotMatch(await page.locator("main").innerText(), /NaN|undefined|null|Infinity|\[object/);
        assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, "scrolls sideways");
        const name = `dashboard-${width}-${colorScheme}${token === "open" ? "" : "-token"}.png`;
        await page.screenshot({ path: join(shots, name), fullPage: true });
      });
    }
  },

  async "figures follow the traffic"() {
    if (token !== "open") return;
    await withPage({}, async (page) => {
      const items = () => page.locator("#exits tbody tr td:nth-child(3)").allInnerTexts()
        .then((all) => all.reduce((sum, text) => sum + Number(text.replaceAll(",", "")), 0));
      const before = await items();
      await page.waitForTimeout(3000);
      assert.ok((await items()) > before, "no item more within three seconds");
      assert.match(await page.locator(".figure", { hasText: "Answered early" }).innerText(), /\d+(\.\d+)?\s%/);
    });
  },

  async "a dropped image shows where it left"() {
    await withPage({}, async (page) => {
      const base64 = await picture(page);
      const box = page.locator("#image input[type=file]");
      await box.setInputFiles({ name: "picture.png", mimeType: "image/png", buffer: Buffer.from(base64, "base64") });
      await page.locator("#image .way li.here").waitFor();
      assert.match(await page.locator("#image .result").innerText(), /with confidence/);
      // By drag and drop, as people do.
      await page.locator("#image label").evaluate((label, bytes) => {
        const data = new DataTransfer();
        const raw = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
        data.items.add(new File([raw], "dropped.png", { type: "image/png" }));
        label.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
      }, base64);
      await page.locator("#image .way li.here").waitFor();
      await page.locator("#image").screenshot({ path: join(shots, "dashboard-image.png") });
      // What is no image is said to be none.
      await box.setInputFiles({ name: "text.png", mimeType: "image/png", buffer: Buffer.from("text") });
      assert.match(await page.locator("#image .badge").innerText(), /neither PNG nor JPEG/);
    });
  },

  async "drawings have names, and nothing runs within the page but its own script"() {
    await withPage({}, async (page) => {
      assert.equal(await page.locator("#page script").count(), 0);
      for (const id of ["flow", "exits", "charts"]) {
        assert.ok(await page.locator(`#${id} [aria-label]`).count() > 0, id);
      }
    });
  },
};

const status = await runTests(tests);
await browser.close();
process.exit(status);
