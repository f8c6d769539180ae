// The notice alone goes to the printer: the style sheet hides the rest.
document.querySelector('[data-print]').addEventListener('click', () => window.print());
