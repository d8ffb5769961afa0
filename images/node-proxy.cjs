// Sends `http`, `https` and `fetch` of Node through HTTP_PROXY and HTTPS_PROXY, which Node ignores before 22.21 and 24.5.
// Preloaded into every Node by NODE_OPTIONS. Newer Nodes do it themselves (NODE_USE_ENV_PROXY). Agents and dispatchers
// that a program made a class of its own for, and programs that set fetch's dispatcher, are left alone.
"use strict";

const http = require("node:http");

const NAMES_ITSELF = /^(localhost|.*\.localhost|127(\.\d+){3}|\[?::1\]?)$/i;
const REFUSAL_CHARACTERS_MAX = 300;
const DISPATCHER = Symbol.for("undici.globalDispatcher.1");
const TUNNEL_SECONDS_MAX = 60;

function proxyOf(name) {
  const text = process.env[name.toLowerCase()] || process.env[name];
  try {
    const url = new URL(text);
    return url.protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}

function exceptions() {
  const text = process.env.no_proxy || process.env.NO_PROXY || "";
  return text.toLowerCase().split(/[\s,]+/).filter(Boolean).map((name) => name.replace(/^\*?\./, ""));
}

function isDirect(host) {
  const name = String(host || "localhost").toLowerCase();
  if (NAMES_ITSELF.test(name)) return true;
  return exceptions().some((known) => known === "*" || name === known || name.endsWith(`.${known}`));
}

function authority(host, port) {
  return `${String(host).includes(":") && !String(host).startsWith("[") ? `[${host}]` : host}:${port}`;
}

// A connection through the proxy to host:port, not yet encrypted.
function tunnel(proxy, host, port, done) {
  const target = authority(host, port);
  const request = http.request({
    host: proxy.hostname, port: proxy.port || 80, method: "CONNECT", path: target, headers: { host: target }, agent: false,
    timeout: TUNNEL_SECONDS_MAX * 1000,
  });
  request.once("connect", (response, socket, head) => {
    if (response.statusCode !== 200) {
      socket.destroy();
      const words = head.toString("utf8").slice(0, REFUSAL_CHARACTERS_MAX);
      done(Object.assign(new Error(`the proxy refused ${target}: ${response.statusCode} ${words}`), { code: "ECONNREFUSED" }));
      return;
    }
    socket.setTimeout(0);
    if (head.length) socket.unshift(head);
    done(null, socket);
  });
  request.once("timeout", () => request.destroy(new Error(`the proxy did not answer for ${target}`)));
  request.once("error", done);
  request.end();
}

// Plain requests carry their whole URL to the proxy.
function patchHttp() {
  const addRequest = http.Agent.prototype.addRequest;
  http.Agent.prototype.addRequest = function (request, options, ...rest) {
    const proxy = proxyOf("HTTP_PROXY");
    const isOurs = Object.getPrototypeOf(this) === http.Agent.prototype && this.protocol === "http:";
    const host = options && (options.hostname || options.host);
    if (!proxy || !isOurs || options.socketPath || !request.path.startsWith("/") || isDirect(host)) {
      return addRequest.call(this, request, options, ...rest);
    }
    const port = options.port || 80;
    const url = `http://${port == 80 ? authority(host, 80).replace(/:80$/, "") : authority(host, port)}${request.path}`;
    if (request._header) {
      // Headers given as an array are written before the agent is asked.
      const line = request._header.indexOf("\r\n");
      const first = request._header.slice(0, line).replace(request.path, () => url);
      request._header = first + request._header.slice(line);
    }
    request.path = url;
    const through = { ...options, host: proxy.hostname, hostname: proxy.hostname, port: proxy.port || 80 };
    return addRequest.call(this, request, through, ...rest);
  };
}

function patchHttps() {
  const https = require("node:https");
  const createConnection = https.Agent.prototype.createConnection;
  https.Agent.prototype.createConnection = function (options, done, ...rest) {
    const proxy = proxyOf("HTTPS_PROXY");
    const isPlain = options === null || typeof options !== "object" || options.socket || options.socketPath;
    if (!proxy || isPlain || typeof done !== "function" || isDirect(options.host)) {
      return createConnection.call(this, options, done, ...rest);
    }
    tunnel(proxy, options.host, options.port || 443, (error, socket) => {
      if (error) return done(error);
      try {
        done(null, createConnection.call(this, { ...options, socket }));
      } catch (failure) {
        socket.destroy();
        done(failure);
      }
    });
    return undefined;
  };
}

function patchFetch() {
  const fetching = globalThis.fetch;
  if (typeof fetching !== "function") return;
  let isReady = false;
  const prepare = () => {
    isReady = true;
    if (globalThis[DISPATCHER] !== undefined) return; // the program's own choice
    void globalThis.Request; // loads fetch, which sets its dispatcher
    const direct = globalThis[DISPATCHER];
    if (!direct || typeof direct.dispatch !== "function") return;
    globalThis[DISPATCHER] = throughProxy(direct);
  };
  globalThis.fetch = function fetch(input, init) {
    if (!isReady) prepare();
    return fetching(input, init);
  };
}

function throughProxy(direct) {
  const tls = require("node:tls");
  const connect = (options, done) => {
    const host = options.hostname;
    tunnel(proxyOf("HTTPS_PROXY"), host, options.port || 443, (error, socket) => {
      if (error) return done(error, null);
      const servername = options.servername || (require("node:net").isIP(host) ? undefined : host);
      const secure = tls.connect({ socket, servername, ALPNProtocols: ["http/1.1"] });
      secure.once("error", (failure) => done(failure, null));
      secure.once("secureConnect", () => {
        secure.removeAllListeners("error");
        done(null, secure);
      });
    });
  };
  const tunnels = new direct.constructor({ connect });
  const handler = {
    get(target, name) {
      if (name !== "dispatch") {
        const value = target[name];
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (options, answers) => {
        const url = new URL(options.origin);
        const host = url.hostname.replace(/^\[|\]$/g, "");
        if (isDirect(host)) return target.dispatch(options, answers);
        if (url.protocol === "https:" && proxyOf("HTTPS_PROXY")) return tunnels.dispatch(options, answers);
        const proxy = proxyOf("HTTP_PROXY");
        if (url.protocol !== "http:" || !proxy) return target.dispatch(options, answers);
        const through = { ...options, origin: proxy.origin, path: `${url.origin}${options.path}` };
        through.headers = withHost(options.headers, url.host);
        return target.dispatch(through, answers);
      };
    },
  };
  return new Proxy(direct, handler);
}

function withHost(headers, host) {
  if (Array.isArray(headers)) return [...headers, "host", host];
  const given = headers && typeof headers[Symbol.iterator] === "function" ? Object.fromEntries(headers) : { ...headers };
  return Object.keys(given).some((name) => name.toLowerCase() === "host") ? given : { ...given, host };
}

function doesItself() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);
}

if ((proxyOf("HTTP_PROXY") || proxyOf("HTTPS_PROXY")) && !(doesItself() && process.env.NODE_USE_ENV_PROXY)) {
  patchHttp();
  patchHttps();
  patchFetch();
}
