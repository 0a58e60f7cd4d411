// The page is whole without this. It sorts the table, filters it, and shows more of its rows than a browser
// lays out at once.
(() => {
	'use strict';
	const openTarget = () => {
		const target = location.hash && document.getElementById(location.hash.slice(1));
		const details = target && target.closest('details');
		if (details) {
			details.open = true;
			details.scrollIntoView();
		}
	};
	addEventListener('hashchange', openTarget);
	openTarget();

	const table = document.getElementById('jobs');
	if (!table) return;
	const step = 200;
	const body = table.tBodies[0];
	const heads = [...table.tHead.rows[0].cells];
	const rows = JSON.parse(document.getElementById('data').textContent);
	const filter = document.getElementById('filter');
	const shown = document.getElementById('shown');
	let list = rows, limit = step, column = -1, direction = 1;

	const cell = (tr, text, className) => {
		const td = tr.insertCell();
		td.textContent = text;
		if (className) td.className = className;
		return td;
	};
	const build = (row) => {
		const tr = document.createElement('tr');
		const name = cell(tr, row.a ? '' : row.n);
		if (row.a) {
			const link = document.createElement('a');
			link.href = '#' + row.a;
			link.textContent = row.n;
			name.append(link);
		}
		if (row.i) name.style.paddingLeft = row.i + 'em';
		cell(tr, row.o, row.b ? 'text bad' : 'text');
		for (const text of row.c) cell(tr, text);
		return tr;
	};
	const more = document.createElement('button');
	more.className = 'more';
	more.addEventListener('click', () => {
		const from = limit;
		limit += step;
		body.append(...list.slice(from, limit).map(build));
		count();
	});
	const count = () => {
		const n = Math.min(limit, list.length);
		shown.textContent = n.toLocaleString('en') + ' of ' + rows.length.toLocaleString('en') + ' jobs';
		more.textContent = 'Show ' + Math.min(step, list.length - n) + ' more';
		more.hidden = n >= list.length;
	};
	const show = () => {
		limit = step;
		body.replaceChildren(...list.slice(0, limit).map(build));
		count();
	};
	const key = (row) => column === 0 ? row.n : column === 1 ? row.o : row.v[column - 2];
	const arrange = () => {
		const want = filter.value.toLowerCase();
		list = want ? rows.filter((r) => (r.n + ' ' + r.o).toLowerCase().includes(want)) : rows.slice();
		if (column >= 0) {
			list.sort((x, y) => {
				const a = key(x), b = key(y);
				if (a === null || b === null) return (a === null) - (b === null); // not known: at the end
				return direction * (a < b ? -1 : a > b ? 1 : 0);
			});
		}
		show();
	};
	heads.forEach((th, i) => {
		const button = document.createElement('button');
		button.textContent = th.textContent;
		th.replaceChildren(button);
		button.addEventListener('click', () => {
			direction = column === i ? -direction : i < 3 ? 1 : -1; // the most of a number first
			column = i;
			for (const other of heads) other.removeAttribute('aria-sort');
			th.setAttribute('aria-sort', direction > 0 ? 'ascending' : 'descending');
			arrange();
		});
	});
	filter.addEventListener('input', arrange);
	document.querySelector('.tools').hidden = false;
	document.getElementById('first')?.remove();
	table.parentElement.after(more);
	count();
})();
