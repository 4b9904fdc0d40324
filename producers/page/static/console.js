// A terminal in the page: keys go out as bytes, what the shell prints comes back as bytes, the window's size as text.
"use strict";
(() => {
  const box = document.getElementById("terminal");
  const said = document.getElementById("console-said");
  const nonce = document.currentScript.nonce;
  // The page's policy takes no inline style. xterm makes style sheets of its own, which get the nonce, and sets attributes, which become properties.
  const make = document.createElement.bind(document);
  document.createElement = (name, ...more) => {
    const made = make(name, ...more);
    if (String(name).toLowerCase() === "style") made.nonce = nonce;
    return made;
  };
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else set.call(this, name, value);
  };

  const terminal = new Terminal({ cursorBlink: false, fontSize: 14, screenReaderMode: true, scrollback: 5000 });
  const fit = new FitAddon.FitAddon();
  terminal.loadAddon(fit);
  terminal.open(box);
  fit.fit();
  const size = () => ({ columns: terminal.cols, rows: terminal.rows });
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/console/socket`);
  const letters = new TextEncoder();
  const open = () => socket.readyState === WebSocket.OPEN;
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    socket.send(JSON.stringify({ ticket: box.dataset.ticket, ...size() }));
    delete box.dataset.ticket;
    terminal.focus();
  };
  socket.onmessage = (message) => terminal.write(new Uint8Array(message.data));
  socket.onclose = (end) => { said.textContent = end.reason || "The connection has ended."; };
  terminal.onData((keys) => { if (open()) socket.send(letters.encode(keys)); });
  terminal.onBinary((keys) => { if (open()) socket.send(Uint8Array.from(keys, (letter) => letter.charCodeAt(0))); });
  terminal.onResize(() => { if (open()) socket.send(JSON.stringify(size())); });
  new ResizeObserver(() => fit.fit()).observe(box);
})();
