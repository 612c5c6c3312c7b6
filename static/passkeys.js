/* Passkeys: a form with data-passkey asks the browser for one and sends its response in the field "credential".
   Without this script, or in a browser without passkeys, the form shows its hint and the other ways are used. */
(() => {
  'use strict'

  const supported = window.PublicKeyCredential && window.webauthnJSON

  async function options (form) {
    const url = form.dataset.optionsUrl
    if (!url) return JSON.parse(document.getElementById('passkey-options').textContent)
    const response = await fetch(url, { headers: { Accept: 'application/json' } })
    if (!response.ok) throw new Error(`status ${response.status}`)
    return response.json()
  }

  async function ask (form) {
    const given = await options(form)
    if (form.dataset.passkey === 'create') return window.webauthnJSON.create(given.creation_options)
    return window.webauthnJSON.get(given.request_options)
  }

  async function send (event) {
    event.preventDefault()
    const form = event.target
    const failed = form.querySelector('[data-passkey-failed]')
    const button = form.querySelector('[data-passkey-button]')
    failed.hidden = true
    button.disabled = true
    try {
      form.querySelector('[name=credential]').value = JSON.stringify(await ask(form))
      form.submit()
    } catch (error) {
      console.info('passkey:', error)
      failed.hidden = false
      button.disabled = false
    }
  }

  for (const form of document.querySelectorAll('form[data-passkey]')) {
    if (!supported) continue
    form.querySelector('[data-passkey-missing]').hidden = true
    form.querySelector('[data-passkey-button]').disabled = false
    form.addEventListener('submit', send)
  }
})()
