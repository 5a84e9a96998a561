// Preloaded into Azurite: standard input ends when the process that started it stops it, or is gone.
process.stdin.on("error", () => process.exit(0));
process.stdin.on("end", () => process.exit(0));
process.stdin.resume();
