// Type-checks queries: reads {"tables": {name: {column: type}}, "queries": [text]} and answers
// [{"diagnostics": [...], "columns": {name: type} or null}], one for each query and in their order.
"use strict";

const fs = require("node:fs");

const [packageFolder] = process.argv.slice(2);
require(`${packageFolder}/bridge.min.js`);
require(`${packageFolder}/Kusto.Language.Bridge.min.js`);

const { GlobalState, KustoCode, Symbols } = Kusto.Language;

function workspace(tables) {
  const symbols = Object.entries(tables).map(([name, columns]) => {
    const schema = Object.entries(columns).map(([column, type]) => `${column}: ${type}`);
    return new Symbols.TableSymbol.$ctor7(name, `(${schema.join(", ")})`, null);
  });
  return GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", symbols));
}

function listOf(readOnly) {
  return Array.from({ length: readOnly.Count }, (_, index) => readOnly.getItem(index));
}

function analyse(globals, query) {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  const diagnostics = listOf(code.GetDiagnostics()).map((each) => ({
    code: each.Code,
    severity: each.Severity,
    message: each.Message,
    start: each.Start,
    length: each.Length,
  }));
  const columns =
    code.ResultType && code.ResultType.Columns
      ? Object.fromEntries(listOf(code.ResultType.Columns).map((each) => [each.Name, each.Type.Name]))
      : null;
  return { diagnostics, columns };
}

const { tables, queries } = JSON.parse(fs.readFileSync(0, "utf8"));
const globals = workspace(tables);
process.stdout.write(JSON.stringify(queries.map((query) => analyse(globals, query))));
