// As much of a browser as signing in takes: cookies of each origin, redirects, and forms.

const decode = (text) => text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&');

export class Browser {
  #jar = new Map();  // origin -> Map(name -> value)
  stopAt = () => false;  // what is not gone to, but shown as {url, status: 0}

  cookies(origin) {
    return this.#jar.get(origin) ?? new Map();
  }
  #keep(origin, response) {
    const jar = this.#jar.get(origin) ?? new Map();
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map((part) => part.trim());
      const equals = pair.indexOf('=');
      const ends = attributes.find((one) => /^(max-age=0|expires=thu, 01 jan 1970)/i.test(one));
      if (ends) jar.delete(pair.slice(0, equals));
      else jar.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
    this.#jar.set(origin, jar);
  }

  // One request, and no redirect followed.
  async fetch(url, { method = 'GET', body, headers = {} } = {}) {
    const { origin } = new URL(url);
    const cookie = [...this.cookies(origin)].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { method, body, redirect: 'manual', headers: { ...headers, ...(cookie && { cookie }) } });
    this.#keep(origin, response);
    return response;
  }

  // Follows redirects to a page: {url, status, html}.
  async go(url, options) {
    let at = url;
    let response = await this.fetch(at, options);
    for (let hops = 0; response.status >= 300 && response.status < 400; ++hops) {
      if (hops === 20) throw new Error(`too many redirects, the last to ${at}`);
      at = new URL(response.headers.get('location'), at).href;
      await response.arrayBuffer();
      if (this.stopAt(at)) return { url: at, status: 0, html: '' };
      response = await this.fetch(at);
    }
    return { url: at, status: response.status, headers: response.headers, html: await response.text() };
  }

  // Sends the page's form with what stands in it and `fields`.
  submit(page, fields = {}) {
    const form = page.html.match(/<form[^>]*>/)?.[0];
    if (!form) throw new Error(`no form at ${page.url}: ${page.html.slice(0, 500)}`);
    const action = decode(form.match(/action="([^"]*)"/)?.[1] ?? page.url);
    const values = new URLSearchParams();
    for (const [input] of page.html.matchAll(/<input[^>]*>/g)) {
      const name = input.match(/name="([^"]*)"/)?.[1];
      if (name) values.set(decode(name), decode(input.match(/value="([^"]*)"/)?.[1] ?? ''));
    }
    for (const [name, value] of Object.entries(fields)) values.set(name, value);
    return this.go(new URL(action, page.url).href, {
      method: 'POST', body: values, headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  }
}
