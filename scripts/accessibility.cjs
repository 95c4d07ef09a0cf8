// Opens an HTML page in Chromium at two widths: asks axe-core what is wrong with it, and takes a picture to look at.
//
//   npm install --no-save axe-core puppeteer-core
//   node scripts/accessibility.cjs report.html        (writes report-1400.png and report-390.png beside it)
//
// CHROMIUM names the browser if it is not /usr/bin/chromium. The exit status is 1 if axe-core finds a violation, if the
// page asks the network for anything, opens a dialog, prints an error, or is wider than the window.

const path = require("path");
const puppeteer = require("puppeteer-core");

const WIDTHS = [1400, 390];

async function open(browser, file, width, problems) {
  const page = await browser.newPage();
  page.on("pageerror", (error) => problems.push(`error: ${error}`));
  page.on("console", (message) => message.type() === "error" && problems.push(`error: ${message.text()}`));
  page.on("request", (asked) => /^(file|data|blob):/.test(asked.url()) || problems.push(`request: ${asked.url()}`));
  page.on("dialog", async (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  await page.setViewport({ width, height: 900 });
  await page.goto(`file://${file}`, { waitUntil: "load", timeout: 120000 });
  return page;
}

async function main(file) {
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  let bad = 0;
  for (const width of WIDTHS) {
    const problems = [];
    const page = await open(browser, file, width, problems);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) problems.push(`the page is ${wide} pixels wide`);
    await page.screenshot({ path: file.replace(/\.html?$/, `-${width}.png`), fullPage: true });
    await page.setBypassCSP(true); // axe-core is a script that the page's own policy would refuse
    await page.reload({ waitUntil: "load" });
    await page.addScriptTag({ path: require.resolve("axe-core") });
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    for (const one of found.violations) problems.push(`axe: ${one.id}: ${one.nodes[0].html.slice(0, 200)}`);
    console.log(`${width} pixels: ${found.passes.length} rules passed, ${problems.length} problems`);
    problems.forEach((problem) => console.log(`  ${problem}`));
    bad += problems.length;
  }
  await browser.close();
  process.exit(bad ? 1 : 0);
}

main(path.resolve(process.argv[2]));
