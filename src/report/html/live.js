// Asks for the page again when the journal has more. A form that somebody fills in stays as it is.
let asked = 0;
async function renew() {
  const mine = ++asked;
  const answer = await fetch(location.pathname).catch(() => null);
  const text = answer && answer.ok ? await answer.text() : null;
  if (mine !== asked) return;
  if (text === null) return setTimeout(renew, 1000);
  const page = new DOMParser().parseFromString(text, 'text/html');
  const typed = [...document.querySelectorAll('form input:not([type=hidden])')].some(input => input.value);
  if (!typed) document.getElementById('live').replaceWith(page.getElementById('live'));
  document.querySelector('header').replaceWith(page.querySelector('header'));
}
new EventSource('/events').onmessage = renew;
