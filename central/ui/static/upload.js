// Files of a form: one that is too large is named before it leaves, a large one shows how far it is.
const megabytes = (bytes) => Math.round(bytes / 1048576);

function say(form, text) {
  const line = document.createElement('p');
  line.className = 'refused';
  line.textContent = text;
  form.querySelector('.answer').replaceChildren(line);
}

document.body.addEventListener('htmx:beforeRequest', (event) => {
  const form = event.target.closest?.('form[data-upload]');
  if (!form) return;
  const most = Number(form.dataset.upload);
  const file = form.querySelector('input[type=file]').files[0];
  form.querySelector('.answer').replaceChildren();
  if (file && file.size > most) {
    event.preventDefault();
    say(form, `Ce fichier fait ${megabytes(file.size)} Mo\u00a0: un programme fait ${megabytes(most)} Mo au plus.`);
  } else if (file && file.size > 500_000) form.querySelector('progress').hidden = false;
});
document.body.addEventListener('htmx:xhr:progress', (event) => {
  const bar = event.target.querySelector?.('progress');
  if (bar && event.detail.lengthComputable) bar.value = event.detail.loaded / event.detail.total;
});
for (const name of ['htmx:afterRequest', 'htmx:sendError']) {
  document.body.addEventListener(name, (event) => {
    const form = event.target.closest?.('form[data-upload]');
    if (form) form.querySelector('progress').hidden = true;
    if (form && name === 'htmx:sendError') say(form, 'L’envoi a été coupé\u00a0: vérifiez la liaison avec le centre, puis recommencez.');
  });
}
