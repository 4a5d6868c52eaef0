// Asks for the page again when the journal has more. A form that somebody fills in stays as it is.
const events = new EventSource('/events');
let asked = 0;
events.onmessage = async () => {
  const mine = ++asked;
  const answer = await fetch(location.pathname);
  if (!answer.ok || mine !== asked) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const fresh = page.getElementById('live');
  const typed = [...document.querySelectorAll('form input:not([type=hidden])')].some(input => input.value);
  if (fresh && !typed) document.getElementById('live').replaceWith(fresh);
  document.querySelector('header').replaceWith(page.querySelector('header'));
};
