// node report.test.mjs REPORT_SAMPLES FOLDER
// Opens the pages that REPORT_SAMPLES writes in a headless Chromium and reads them as a
// person would; screenshots stay in FOLDER. Exit status 77: no Chromium on this machine.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openBrowser, runTests } from "./browser.mjs";

const [samples, shots] = process.argv.slice(2);

const folder = mkdtempSync(join(tmpdir(), "cachectl-web-"));
mkdirSync(shots, { recursive: true });
execFileSync(samples, [folder], { stdio: "inherit" });

const browser = await openBrowser();

// Opens a page, hands it to the body, and fails on anything in the console or on the wire.
async function withPage(name, { width = 1280, colorScheme = "light" }, body) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  const faults = [];
  page.on("console", (message) => message.type() !== "log" && faults.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => /^(file|data):/.test(request.url()) || faults.push(`request: ${request.url()}`));
  await page.goto(pathToFileURL(join(folder, `${name}.html`)).href);
  await page.locator("main section").first().waitFor();
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await body(page);
  assert.deepEqual(faults, []);
  await context.close();
}

const sections = (page) => page.locator("main > section").evaluateAll((all) => all.map((one) => one.id));
const data = (page) => page.evaluate(() => JSON.parse(document.getElementById("data").textContent));

const tests = {
  async "every part is drawn, wide and narrow, light and dark"() {
    for (const width of [1280, 400]) {
      for (const colorScheme of ["light", "dark"]) {
        await withPage("full", { width, colorScheme }, async (page) => {
          assert.deepEqual(await sections(page), [
            "answer", "flow", "alone", "reliability", "exits", "verdicts", "classes", "costs", "memory", "latency",
            "trade", "certificate", "examples", "provenance", "words", "software",
          ]);
          const report = await data(page);
          assert.equal(await page.locator("#alone .drawing").count(), report.alone.length);
          assert.equal(await page.locator("#reliability .drawing").count(), report.reliability.length);
          assert.equal(await page.locator("#latency .drawing").count(), report.latency.length);
          assert.equal(await page.locator("#trade .drawing").count(), 2);
          assert.equal(await page.locator("#flow .band").count(), report.plans[0].exits.length);
          assert.equal(await page.locator("#examples img").count(), report.examples.length);
          assert.ok(await page.locator("#examples img").evaluateAll((all) => all.every((one) => one.naturalWidth === 32)));
          assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, "scrolls sideways");
          await page.screenshot({ path: join(shots, `full-${width}-${colorScheme}.png`), fullPage: true });
        });
      }
    }
  },

  async "hovering a curve reads its values"() {
    await withPage("full", {}, async (page) => {
      const curve = (await data(page)).alone[0];
      const drawing = page.locator("#alone .drawing").first();
      const tip = drawing.locator(".tip");
      await drawing.scrollIntoViewIfNeeded();
      assert.equal(await tip.isVisible(), false);
      const box = await drawing.boundingBox();
      await page.mouse.move(box.x + box.width * 0.6, box.y + 80);
      assert.equal(await tip.isVisible(), true);
      const read = async () => {
        const text = await tip.innerText();
        const threshold = Number(/threshold ([\d.]+)/.exec(text)[1]);
        const hits = Number(/hit rate\s+([\d.]+)/.exec(text)[1]) / 100;
        const near = curve.threshold.findIndex((value) => Math.abs(value - threshold) < 6e-4);
        assert.ok(near >= 0, text);
        assert.ok(Math.abs(curve.hit_rate[near] - hits) < 0.01, text);
        return threshold;
      };
      const first = await read();
      await page.mouse.move(box.x + box.width * 0.8, box.y + 80);
      assert.ok((await read()) > first);
      assert.ok((await drawing.locator(".cursor circle").count()) >= 3);
      await page.mouse.move(2, 2);
      assert.equal(await tip.isVisible(), false);
    });
  },

  async "every chart answers to the arrow keys and keeps its tip in the frame"() {
    await withPage("full", { width: 400 }, async (page) => {
      const drawings = await page.locator(".drawing").all();
      assert.ok(drawings.length > 10);
      for (const drawing of drawings) {
        await drawing.focus();
        const tip = drawing.locator(".tip");
        for (const key of ["Home", "ArrowRight", "End"]) {
          await page.keyboard.press(key);
          assert.equal(await tip.isVisible(), true);
          assert.ok((await tip.innerText()).length > 5);
          const box = await tip.boundingBox();
          assert.ok(box.x >= 0 && box.x + box.width <= 400, JSON.stringify(box));
        }
        await page.keyboard.press("Escape");
        assert.equal(await tip.isVisible(), false);
      }
    });
  },

  async "another plan can be chosen"() {
    await withPage("full", {}, async (page) => {
      const report = await data(page);
      const rows = () => page.locator("#exits tbody tr").count();
      assert.equal(await rows(), report.plans[0].exits.length);
      await page.locator(".chooser label").nth(1).click();
      assert.equal(await rows(), report.plans[1].exits.length);
      assert.equal(await page.locator("#flow .band").count(), report.plans[1].exits.length);
    });
  },

  async "text stands out from its ground, light and dark"() {
    for (const colorScheme of ["light", "dark"]) {
      await withPage("full", { colorScheme }, async (page) => {
        const poor = await page.evaluate(() => {
          const parse = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
          const luminance = ([r, g, b]) => {
            const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
            return 0.2126 * x + 0.7152 * y + 0.0722 * z;
          };
          const ground = (element) => {
            for (let at = element; at; at = at.parentElement) {
              const color = parse(getComputedStyle(at).backgroundColor);
              if (color.length === 3 || color[3] > 0) return color;
            }
            return [255, 255, 255];
          };
          const found = [];
          const walker = document.createTreeWalker(document.getElementById("page"), NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const element = node.parentElement;
            if (node.textContent.trim() === "" || !element.checkVisibility() || element.closest(".unseen")) continue;
            const style = getComputedStyle(element);
            const color = element instanceof SVGElement ? style.fill : style.color;
            const [a, b] = [luminance(parse(color)), luminance(ground(element))].sort((x, y) => y - x);
            const ratio = (a + 0.05) / (b + 0.05);
            if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${color}: ${node.textContent.slice(0, 40)}`);
          }
          return [...new Set(found)];
        });
        assert.deepEqual(poor, []);
      });
    }
  },

  async "figures have names, ids are unique, headings step down one by one"() {
    await withPage("full", {}, async (page) => {
      const faults = await page.evaluate(() => {
        const list = [];
        for (const one of document.querySelectorAll("svg[role=img], .drawing, .scroll")) {
          if (!one.getAttribute("aria-label")) list.push(`no name: ${one.outerHTML.slice(0, 80)}`);
        }
        for (const image of document.images) if (!image.alt) list.push("an image without text");
        const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
        for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) list.push(`twice: ${id}`);
        for (const link of document.querySelectorAll("nav a")) if (!document.querySelector(link.hash)) list.push(`no ${link.hash}`);
        let level = 0;
        for (const heading of document.querySelectorAll("h1, h2, h3")) {
          const own = Number(heading.tagName[1]);
          if (own > level + 1) list.push(`${heading.tagName} after h${level}: ${heading.textContent}`);
          level = own;
        }
        return list;
      });
      assert.deepEqual(faults, []);
    });
  },

  async "paper gets light colours, open details and no controls"() {
    await withPage("full", { colorScheme: "dark" }, async (page) => {
      await page.evaluate(() => {
        window.seen = null;
        addEventListener("beforeprint", () => { window.seen = document.querySelectorAll("#latency details:not([open])").length; });
      });
      const pdf = await page.pdf({ path: join(shots, "full.pdf"), format: "A4", printBackground: true });
      assert.ok(pdf.length > 20000);
      assert.equal(await page.evaluate(() => window.seen), 0);
      assert.equal(await page.locator("#latency details[open]").count(), 0);
      await page.emulateMedia({ media: "print" });
      assert.equal(await page.locator("nav").isVisible(), false);
      assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(255, 255, 255)");
    });
  },

  async "a report without labels, times, images and exits still reads well"() {
    await withPage("bare", { width: 400 }, async (page) => {
      assert.deepEqual(await sections(page), ["answer", "flow", "exits", "costs", "words", "software"]);
      const text = await page.locator("#page").innerText();
      assert.match(text, /Caching does not pay here/);
      assert.match(text, /Times were not measured/);
      assert.match(text, /nothing to certify/);
      assert.doesNotMatch(text, /NaN|undefined|null|Infinity|\[object/);
      await page.screenshot({ path: join(shots, "bare-400.png"), fullPage: true });
    });
  },

  async "an empty plan says whether nothing pays, nothing is certified, or nothing certified pays"() {
    const texts = {
      uncertified: [/none could be certified/, /Not certified\..*300 samples, 2 changed.*of 12 plans.*about 1,550 samples/s],
      hopeless: [/none could be certified/, /no number of samples would help/],
      unpaid: [/plans are certified, but none of them costs less/, /Of the 12 plans considered 3 are certified.*for batches of 8/s],
    };
    for (const [name, [summary, badge]] of Object.entries(texts)) {
      await withPage(name, {}, async (page) => {
        const answer = await page.locator("#answer").innerText();
        assert.match(answer, summary);
        assert.match(answer, badge);
        assert.doesNotMatch(answer, /nothing to certify|within the tolerance|\b0 samples/);
        assert.match(await page.locator("#certificate").innerText(), /12, 1, /);
      });
    }
  },

  async "a run outside its certificate says so"() {
    await withPage("outside", {}, async (page) => {
      const badge = await page.locator("#answer .badge").innerText();
      assert.match(badge, /Outside its certificate.*certified at float32 on float16 activations; this run is at bfloat16/s);
    });
    await withPage("full", {}, async (page) => {
      assert.match(await page.locator("#answer .badge").innerText(), /^Certified/);
      assert.match(await page.locator("#certificate").innerText(), /float32, on activations kept as float16/);
    });
  },

  async "hit rate and effect of an exit have their intervals"() {
    await withPage("full", {}, async (page) => {
      const exit = (await data(page)).plans[0].exits[0];
      const row = await page.locator("#exits tbody tr").first().innerText();
      assert.ok(row.includes(`${(100 * exit.hit_rate.low).toFixed(1)}–${(100 * exit.hit_rate.high).toFixed(1)}`), row);
      const points = (share) => (100 * Math.abs(share)).toFixed(2);
      const shown = row.match(/[+−](\d+\.\d\d) to [+−](\d+\.\d\d)/);
      assert.deepEqual(shown.slice(1), [points(exit.effect.low), points(exit.effect.high)], row);
    });
  },

  async "names from the data stay text"() {
    await withPage("hostile", {}, async (page) => {
      assert.equal(await page.evaluate(() => window.broken), undefined);
      assert.equal(await page.title(), "</title><script>window.broken = 1</script>{{data}}");
      assert.equal(await page.locator("h1").innerText(), await page.title());
      assert.equal(await page.locator("#page script, #page b[onclick], #page img[onerror]").count(), 0);
      assert.match(await page.locator(".remarks").first().innerText(), /<b onclick="window.broken = 1">bold<\/b>/);
    });
  },

  async "no figure shows what is not a number"() {
    await withPage("full", {}, async (page) => {
      assert.doesNotMatch(await page.locator("#page").innerText(), /NaN|undefined|null|Infinity|\[object/);
      const broken = await page.evaluate(() => [...document.querySelectorAll("svg *")].filter((one) =>
        [...one.attributes].some((a) => /NaN|undefined|Infinity/.test(a.value))).map((one) => one.outerHTML.slice(0, 120)));
      assert.deepEqual(broken, []);
    });
  },
};

const status = await runTests(tests);
await browser.close();
rmSync(folder, { recursive: true, force: true });
process.exit(status);
