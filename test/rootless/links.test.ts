/** The examples of links, one of which has a TUN, and the page in Chromium, once more: for an ordinary user. */
import '../browser/chromium.test.js';
import '../examples/links.test.js';
