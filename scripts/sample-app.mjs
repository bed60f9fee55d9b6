/** A small web shop that sells to itself, with metrics for Prometheus at /metrics. Prints its port. */

import { createServer } from "node:http";

const bounds = [0.01, 0.05, 0.1, 0.5, 1];
const orders = { card: 0, invoice: 0 };
const buckets = bounds.map(() => 0);
let sum = 0;
let count = 0;
let basket = 0;

function sell() {
  const seconds = Math.random() ** 3;
  orders[Math.random() < 0.7 ? "card" : "invoice"] += 1;
  for (const [i, bound] of bounds.entries()) if (seconds <= bound) buckets[i] += 1;
  sum += seconds;
  count += 1;
  basket = Math.round(Math.random() * 10);
}

function page() {
  const lines = [
    "# HELP shop_orders_total Orders taken, by way of payment.",
    "# TYPE shop_orders_total counter",
    ...Object.entries(orders).map(([payment, value]) => `shop_orders_total{payment="${payment}"} ${value}`),
    "# HELP shop_basket_items Items in the basket that was looked at last.",
    "# TYPE shop_basket_items gauge",
    `shop_basket_items ${basket}`,
    "# HELP shop_checkout_seconds How long a checkout took.",
    "# TYPE shop_checkout_seconds histogram",
    ...bounds.map((bound, i) => `shop_checkout_seconds_bucket{le="${bound}"} ${buckets[i]}`),
    `shop_checkout_seconds_bucket{le="+Inf"} ${count}`,
    `shop_checkout_seconds_sum ${sum}`,
    `shop_checkout_seconds_count ${count}`,
  ];
  return `${lines.join("\n")}\n`;
}

setInterval(sell, 200);
const server = createServer((request, response) => {
  if (request.url !== "/metrics") {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(page());
});
server.listen(Number(process.env.DEMO_APP_PORT ?? 0), "127.0.0.1", () => console.log(server.address().port));
