// A service that counts, measures and observes with the OpenTelemetry SDK for JavaScript, and exports a
// few times over each given door. It knows nothing of the collector but its addresses.
//
//     node client.js '{"rounds": 8, "grpc": "http://127.0.0.1:4317", "http": "http://127.0.0.1:4318/v1/metrics"}'
//
// Prints one line of JSON: per exporter the points that were delivered by kind, the sum of its counters,
// the exports that failed, and whatever the SDK said to its diagnostics logger (`info` and worse).

import { createRequire } from "node:module";

import { DiagLogLevel, ValueType, diag } from "@opentelemetry/api";
import { OTLPMetricExporter as GrpcExporter } from "@opentelemetry/exporter-metrics-otlp-grpc";
import { OTLPMetricExporter as JsonExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";

const asked = JSON.parse(process.argv[2]);
const said = [];
const hear = (level) => (...words) => said.push(`${level}: ${words.map(String).join(" ")}`);
const quiet = () => {};
diag.setLogger(
  { error: hear("error"), warn: hear("warn"), info: hear("info"), debug: quiet, verbose: quiet },
  { logLevel: DiagLogLevel.INFO },
);
process.on("warning", (warning) => said.push(`warning: ${warning.message}`));

const KINDS = {
  [DataPointType.GAUGE]: "gauge",
  [DataPointType.SUM]: "sum",
  [DataPointType.HISTOGRAM]: "histogram",
  [DataPointType.EXPONENTIAL_HISTOGRAM]: "exp_histogram",
};
const DELTA = { temporalityPreference: AggregationTemporality.DELTA };

// Hands everything on to a real exporter and counts what it says was delivered.
class Ledger {
  constructor(exporter) {
    this.exporter = exporter;
    this.sent = {};
    this.failed = [];
    this.requests = 0;
  }

  export(metrics, done) {
    this.exporter.export(metrics, (result) => {
      if (result.code !== 0) this.failed.push(String(result.error));
      else this.count(metrics);
      done(result);
    });
  }

  count(metrics) {
    for (const metric of metrics.scopeMetrics.flatMap((scope) => scope.metrics)) {
      const kind = KINDS[metric.dataPointType];
      this.sent[kind] = (this.sent[kind] ?? 0) + metric.dataPoints.length;
      if (metric.descriptor.name !== "requests") continue;
      const sum = metric.dataPoints.reduce((total, point) => total + point.value, 0);
      const delta = metric.aggregationTemporality === AggregationTemporality.DELTA;
      this.requests = delta ? this.requests + sum : sum;
    }
  }

  selectAggregation(instrument) {
    return this.exporter.selectAggregation(instrument);
  }

  selectAggregationTemporality(instrument) {
    return this.exporter.selectAggregationTemporality(instrument);
  }

  forceFlush() {
    return this.exporter.forceFlush();
  }

  shutdown() {
    return this.exporter.shutdown();
  }
}

async function serve(name, exporter, rounds) {
  const ledger = new Ledger(exporter);
  const provider = new MeterProvider({
    readers: [new PeriodicExportingMetricReader({ exporter: ledger, exportIntervalMillis: 3_600_000 })],
    resource: resourceFromAttributes({ "service.name": `js-${name}`, "process.argv": ["a", "b"], ok: true }),
    views: [
      { instrumentName: "size", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } },
    ],
  });
  const meter = provider.getMeter("shop", "1.2.3", { schemaUrl: "https://example.test/schema" });
  const requests = meter.createCounter("requests", { valueType: ValueType.INT });
  const open = meter.createUpDownCounter("open");
  const temperature = meter.createGauge("temperature", { unit: "Cel" });
  const duration = meter.createHistogram("duration", { unit: "s" });
  const size = meter.createHistogram("size", { unit: "By" });
  meter.createObservableGauge("load").addCallback((result) => {
    for (let core = 0; core < 4; core++) result.observe(0.25 * core, { core });
  });
  meter.createObservableCounter("cpu").addCallback((result) => result.observe(process.cpuUsage().user));
  for (let round = 0; round < rounds; round++) {
    for (const route of ["/", "/cart", "/ключ"]) {
      requests.add(round + 1, { route });
      open.add(1 - 2 * (round % 2), { route });
      temperature.record(-round / 3, { route });
      duration.record(0.1 * round, { route });
      size.record(round % 3 === 0 ? 0 : 2 ** round, { route });
    }
    await provider.forceFlush();
  }
  await provider.shutdown();
  return { sent: ledger.sent, failed: ledger.failed, requests: ledger.requests };
}

const EXPORTERS = {
  grpc: () => new GrpcExporter({ url: asked.grpc }),
  "grpc-gzip": () => new GrpcExporter({ url: asked.grpc, compression: "gzip" }),
  protobuf: () => new ProtobufExporter({ url: asked.http }),
  "protobuf-gzip-delta": () => new ProtobufExporter({ url: asked.http, compression: "gzip", ...DELTA }),
  json: () => new JsonExporter({ url: asked.http }),
  "json-gzip-delta": () => new JsonExporter({ url: asked.http, compression: "gzip", ...DELTA }),
};

const ledgers = {};
for (const [name, make] of Object.entries(EXPORTERS)) {
  ledgers[name] = await serve(name, make(), asked.rounds);
}
const version = createRequire(import.meta.url)("@opentelemetry/sdk-metrics/package.json").version;
console.log(JSON.stringify({ version, node: process.version, ledgers, said }));
