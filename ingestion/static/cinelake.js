// See docs/clients.md
(() => {
const P = 'cinelake.', MAX = 21600, now = Date.now, plays = new Map, sent = new Set
let store = {}, conf, busy, fails = 0, next = 0, n = 1e6, path, from = document.referrer
try { store = localStorage || store } catch {}

const safe = f => (...a) => { try { return f(...a) } catch (e) { console.warn(P, e) } }
const on = (name, f, at = window, how) => at.addEventListener(name, safe(f), how)
const uuid = () => crypto.randomUUID()
const get = k => store[P + k]
const put = (k, v) => { try { store[P + k] = v } catch { store = { ...store, [P + k]: v } } }
const queue = () => Object.keys(store).filter(k => k.startsWith(P + 'q.')).sort()
const batch = (keys, n = 0, hold = get('hold') - now()) =>
	!conf || hold > 0 && hold <= 36e5 ? [] : keys.filter(k => (n += store[k].length) < MAX)
const post = (keys, f) => f(`${conf.url}/v1/events?key=${encodeURIComponent(conf.key)}`,
	`{"events":[${keys.map(k => sent.add(k) && store[k])}]}`)

const flush = async () => {
	const keys = batch(queue())
	if (busy || next > now() || !keys[0]) return
	let reply = {}, said
	busy = 1
	try {
		reply = await post(keys, (url, body) =>
			fetch(url, { method: 'POST', body, keepalive: 1, credentials: 'omit' }))
		said = await reply.json()
	} catch {}
	busy = 0
	const bad = said?.rejected, done = reply.ok ? bad >= 0 : /^4(?!0[18]|29)/.test(reply.status)
	if (reply.ok ? bad !== 0 : done) console.warn(P, said)
	keys.map(k => done ? delete store[k] : sent.delete(k))
	if (done) return flush(fails = 0)
	const wait = reply.headers?.get('Retry-After')
	put('hold', now() + Math.min(1e3 * wait || Date.parse(wait) - now(), 36e5))
	next = now() + 2e3 * ++fails * Math.random()
}

const leave = () => {
	plays.forEach(p => p.report())
	const keys = batch(queue().filter(k => !sent.has(k)))
	if (keys[0]) post(keys, (...a) => navigator.sendBeacon(...a))
}

const track = safe((event_type, fields) => {
	const at = now(), event_id = uuid(), keys = queue()
	if (!(at - get('seen') < 18e5)) put('session', uuid())
	put('seen', at)
	put('anon', get('anon') || uuid())
	const event = JSON.stringify({
		event_id, event_type, occurred_at: new Date(at), user_id: get('user') || void 0,
		anonymous_id: get('anon'), session_id: get('session'), ...fields,
		context: { locale: navigator.language, referrer: from,
			app_version: conf?.app_version, screen: screen.width + 'x' + screen.height }
	})
	if (event.length >= MAX) throw 'too long'
	if (keys[499]) delete store[keys[0]]
	put('q.' + at + n++ + event_id, event)
	return event_id
})

const view = () => {
	if (path == location.pathname) return
	if (path) from = location.origin + path
	path = location.pathname
	track('page_view', { properties: { path, title: document.title } })
}

const play = (id, video) => {
	let play_id, last
	const send = type => {
		last = video.currentTime
		track(type, { movie_id: +id, properties: { play_id, position_seconds: last } })
	}
	const start = () => { play_id ||= uuid(); send('play') }
	const hooks = new AbortController
	const report = hooks.report = (_, least = .1) =>
		play_id && Math.abs(video.currentTime - last) >= least && send('play_progress')
	plays.get(video)?.abort()
	plays.set(video, hooks)
	on('play', start, video, hooks)
	on('timeupdate', () => report(0, 10), video, hooks)
	on('pause', report, video, hooks)
	on('ended', () => { send('play_complete'); play_id = 0 }, video, hooks)
	video.paused || start()
}

const init = options => {
	if (conf) return
	conf = options
	for (const f of ['pushState', 'replaceState']) {
		const native = history[f]
		history[f] = (...a) => { native.apply(history, a); setTimeout(view) }
	}
	on('popstate', view)
	on('pageshow', e => e.persisted && view(path = 0))
	on('pagehide', leave)
	on('visibilitychange', () => document.hidden && leave(), document)
	on('online', () => next = 0)
	setInterval(flush, 2e3)
	flush(view())
}

window.cinelake = {
	init: safe(init), track, play: safe(play),
	rate: (id, rating) => track('rating', { movie_id: +id, properties: { rating: +rating } }),
	identify: safe(id => put('user', `${id ?? ''}`))
}
})()
