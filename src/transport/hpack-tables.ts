/** The constant tables of HPACK: the static header table and the Huffman code (RFC 7541 appendices A and B). */

/** A header of HTTP/2; the name in lower case, characters are bytes. */
export interface HeaderField {
  readonly name: string;
  readonly value: string;
  /** RFC 7541's size of an entry: both lengths and 32. */
  readonly size: number;
  /** Whether HTTP/2 allows such a name and value. */
  readonly isValid: boolean;
}

const entryOverheadBytes = 32;

export function headerField(name: string, value: string, isValid = true): HeaderField {
  return { name, value, size: name.length + value.length + entryOverheadBytes, isValid };
}

/** Lines of `name value`, in the order of their index from 1 on. */
const staticText = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`;

/** Index 1 of HPACK is at 0. */
export const staticTable: readonly HeaderField[] = staticText.split("\n").map((line) => {
  const space = line.indexOf(" ");
  return space < 0 ? headerField(line, "") : headerField(line.slice(0, space), line.slice(space + 1));
});

/** Bits of each symbol's code, `a` is 5; the last is the end of the string. */
const codeLengths =
  "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibccccccccccccccccccccccdcdioijbkabababbbaccbbbabcbaabccccckgjix" +
  "prpprrrsrssssststtrstssssqrsrsstrqprrssqsrrtqrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz";
const shortestBits = 5;

export const endOfString = 256;

/**
 * The tree of the code: at 2n and 2n + 1 what follows node n with a bit of 0 and of 1, a node, or a symbol as -1 - symbol.
 * The code is canonical: among codes of one length, and from one length to the next, they count up.
 */
export const huffmanTree: Int16Array = buildTree();

function buildTree(): Int16Array {
  const lengths = Array.from(codeLengths, (letter) => letter.charCodeAt(0) - 97 + shortestBits);
  const symbols = lengths.map((_, symbol) => symbol);
  symbols.sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  const tree = new Int16Array(2 * symbols.length);
  let nodes = 1;
  let code = 0;
  let bits = 0;
  for (const symbol of symbols) {
    const length = lengths[symbol] ?? 0;
    code <<= length - bits;
    bits = length;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const at = 2 * node + ((code >>> bit) & 1);
      if (tree[at] === 0) tree[at] = nodes++;
      node = tree[at] as number;
    }
    tree[2 * node + (code & 1)] = -1 - symbol;
    code += 1;
  }
  return tree;
}
