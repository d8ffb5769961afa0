// What a browser keeps for a page: a private window may refuse, and then nothing is kept.

export function read(store, name) {
  try {
    const text = store.getItem(name);
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}

export function write(store, name, value) {
  try {
    store.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function forget(store, name) {
  try {
    store.removeItem(name);
  } catch {
    // nothing was kept
  }
}
