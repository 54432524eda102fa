// A button that turns light into dark and back; without it, or before it is pressed, the system's choice holds.
const root = document.documentElement, key = "workbook-theme";
const remembered = { get: () => { try { return localStorage.getItem(key); } catch { return null; } },
                     set: (value) => { try { localStorage.setItem(key, value); } catch { /* a page from a file may have none */ } } };
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
if (remembered.get()) root.dataset.theme = remembered.get();
const button = document.createElement("button");
button.className = "theme";
const say = () => { button.textContent = isDark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Change to ${isDark() ? "light" : "dark"} colours`); };
button.onclick = () => { root.dataset.theme = isDark() ? "light" : "dark"; remembered.set(root.dataset.theme); say(); };
const title = document.querySelector("body > nav > a");
if (title) title.after(button); else document.body.append(button);
say();
document.querySelectorAll("pre").forEach((block) => { if (block.scrollWidth > block.clientWidth) block.tabIndex = 0; });  // keys can scroll it
