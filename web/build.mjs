// node build.mjs PAGE OUT.cpp
// Bundles web/PAGE (index.html, main.js, style.css) into one HTML text without outside
// references, and writes the C++ source that defines cachectl::PAGE::page_template().
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync, existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const web = dirname(fileURLToPath(import.meta.url));

async function bundle(entry) {
  const result = await build({
    absWorkingDir: web,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "iife",
    charset: "ascii",
    target: ["es2020"],
    legalComments: "none", // notices() carries the licences
    metafile: true,
    write: false,
  });
  return { text: result.outputFiles[0].text.trim(), inputs: Object.keys(result.metafile.inputs) };
}

// The packages that went into a bundle, each with its licence's text.
function notices(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) folders.add(match[1]);
  }
  return [...folders].sort().map((folder) => {
    const about = JSON.parse(readFileSync(join(web, folder, "package.json"), "utf8"));
    const file = readdirSync(join(web, folder)).find((name) => /^licen[cs]e/i.test(name));
    if (!file) throw new Error(`${folder}: no licence file`);
    return {
      name: about.name,
      version: about.version,
      licence: about.license,
      text: readFileSync(join(web, folder, file), "utf8").trim(),
    };
  });
}

// JSON for a <script> element.
const scriptSafe = (value) => JSON.stringify(value).replace(/[<>&]/g, (c) => "\\u00" + c.charCodeAt(0).toString(16));

function fill(page, marker, value) {
  const parts = page.split(marker);
  if (parts.length !== 2) throw new Error(`${marker} must stand once in index.html`);
  return parts.join(value);
}

async function makePage(name) {
  const script = await bundle(`${name}/main.js`);
  const style = await bundle(`${name}/style.css`);
  if (/<\/(script|style)/i.test(script.text + style.text)) throw new Error("an end tag within the bundle");
  const hash = createHash("sha256").update(script.text).digest("base64");
  let page = readFileSync(join(web, name, "index.html"), "utf8");
  page = fill(page, "{{script-hash}}", `sha256-${hash}`);
  page = fill(page, "{{style}}", style.text);
  page = fill(page, "{{notices}}", scriptSafe(notices(script.inputs)));
  return fill(page, "{{script}}", script.text);
}

const [name, out] = process.argv.slice(2);
if (!out || !existsSync(join(web, name, "main.js"))) {
  console.error("usage: node build.mjs PAGE OUT.cpp, PAGE being a folder of web/ with a main.js");
  process.exit(2);
}
const page = await makePage(name);
const delimiter = "~page~";
if (page.includes(`)${delimiter}"`)) throw new Error("the raw string's delimiter stands in the page");
mkdirSync(dirname(resolve(out)), { recursive: true });
writeFileSync(
  out,
  `// Made by web/build.mjs from web/${name}.
#include <string_view>

namespace cachectl::${name} {
std::string_view page_template();
std::string_view page_template() {
  static const char text[] = R"${delimiter}(${page})${delimiter}";
  return {text, sizeof(text) - 1};
}
}  // namespace cachectl::${name}
`,
);
