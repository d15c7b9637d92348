// Opens the page in Chromium and uses it as people do. Wants a binary with the page in it: MOVIOLA_BIN (or a server that
// runs over a demo archive: MOVIOLA_URL). CHROMIUM names the browser.
import "./editor.mjs";
import "./touch.mjs";
import "./live.mjs";
import "./faults.mjs";
import "./barriers.mjs";
