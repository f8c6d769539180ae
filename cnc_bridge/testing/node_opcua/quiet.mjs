// Standard output carries our JSON lines only; what the library says goes to standard error. Imported before it.
console.log = console.info = console.debug = (...words) => console.error(...words);
