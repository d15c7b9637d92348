/** Where on the page one is: `#/edit/demo/720p?range=…`. */
export interface Route {
  /** Decoded. */
  parts: string[];
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2) as [string?, string?];
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(query) };
}

/** Colons and commas may stand as they are, and times are full of them. */
export function routeTo(parts: string[], query?: URLSearchParams): string {
  const text = query?.toString().replace(/%3A/g, ":").replace(/%2C/g, ",") ?? "";
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}
