/** What this package needs of the platform: headers, WebCrypto, a body of limited size. */

/** The headers of a request: those of fetch and Next.js, or the plain object of Node.js. */
export type HeadersLike =
  | { get(name: string): string | null | undefined }
  | { readonly [name: string]: string | readonly string[] | undefined };

/** Return one header; "" when it is missing. */
export function header(headers: HeadersLike | null | undefined, name: string): string {
  if (!headers) return "";
  if (typeof headers.get === "function") return (headers.get(name) as string | null | undefined) ?? "";
  const value = (headers as Record<string, string | readonly string[] | undefined>)[name];
  return typeof value === "string" ? value : (value ?? []).join(", ");
}

/** Return WebCrypto. Node.js 18 has it in a module only; the comments keep bundlers away from that module. */
export async function webCrypto(): Promise<Crypto> {
  if (globalThis.crypto?.subtle) return globalThis.crypto;
  const module = "node:crypto";
  return (await import(/* webpackIgnore: true */ /* turbopackIgnore: true */ /* @vite-ignore */ module)).webcrypto;
}

/** Return the bytes of a stream; null when there are more than `limit`. */
export async function readAtMost(stream: ReadableStream<Uint8Array> | null, limit: number): Promise<Uint8Array | null> {
  const reader = stream?.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader?.read(); part?.value; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > limit) {
      await reader?.cancel();
      return null;
    }
    chunks.push(part.value);
  }
  return concatenate(chunks, size);
}

/** Join chunks whose sizes add up to `size`. */
export function concatenate(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.byteLength;
  }
  return all;
}
