// What the page asks the server: its status, and where an image exits.

let token = sessionStorage.getItem("token") ?? "";
export function useToken(text) {
  token = text;
  sessionStorage.setItem("token", text);
}

export class NeedsToken extends Error {}

export async function status() {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch("status", { headers, signal: AbortSignal.timeout(5000) });
  if (response.status === 401) throw new NeedsToken();
  if (!response.ok) throw new Error(`the server answers with ${response.status}`);
  return response.json();
}

// Of the bytes, as the stream takes tokens from browsers.
const base64url = (text) =>
  btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// A binary frame: the JSON's length, the JSON, one BYTES element of the image's bytes.
function frameOf(image) {
  const size = 4 + image.byteLength;
  const json = new TextEncoder().encode(JSON.stringify({
    parameters: { probabilities: true },
    inputs: [{ name: "image", datatype: "BYTES", shape: [1], parameters: { binary_data_size: size } }],
  }));
  const frame = new Uint8Array(4 + json.length + size);
  const view = new DataView(frame.buffer);
  view.setUint32(0, json.length, true);
  frame.set(json, 4);
  view.setUint32(4 + json.length, image.byteLength, true);
  frame.set(new Uint8Array(image), 8 + json.length);
  return frame;
}

// The item's answer, or an Error that says what the server says.
export function ask(model, image) {
  return new Promise((resolve, reject) => {
    const address = new URL(`v2/models/${model}/stream`, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const protocols = token ? ["cachectl", `bearer.${base64url(token)}`] : ["cachectl"];
    const socket = new WebSocket(address, protocols);
    const done = (action, value) => {
      action(value);
      socket.onclose = null;
      socket.close();
    };
    socket.onopen = () => socket.send(frameOf(image));
    socket.onclose = () => reject(new Error("the server closed the connection"));
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.error) done(reject, new Error(message.error));
      else done(resolve, message);
    };
  });
}
