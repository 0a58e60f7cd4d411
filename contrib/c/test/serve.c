/*
 * A client of `supervise serve`, without a library: replays the script of protocol/SERVE.md, "Conformance".
 *
 *	build/test/serve cgroup|subreaper conformance.jsonl
 *
 * SUPERVISE_BIN in the environment is the path of the program, from the root. JSON is looked at where it is, as text: a value is a pointer to
 * its first byte. Of the script's strings, those that are compared have no escapes.
 */
#define _GNU_SOURCE
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE 120 /* s, of a conversation */
#define NAMES 200

static int line_number;

static void __attribute__((noreturn)) fail(const char *why, const char *text)
{
	fprintf(stderr, "FAIL line %d: %s: %.2000s\n", line_number, why, text);
	exit(1);
}

/* Reading JSON. */

static const char *space(const char *p) { return p + strspn(p, " \t\r\n"); }

/* The end of a string that begins at p. */
static const char *string_end(const char *p)
{
	for (p++; *p != '"'; p++)
		if (*p == '\0' || (*p == '\\' && *++p == '\0'))
			fail("a string without an end", p);
	return p + 1;
}

/* The end of a value that begins at p. */
static const char *value_end(const char *p)
{
	int depth = 0;
	do {
		p = space(p);
		if (*p == '"')
			p = string_end(p);
		else if (strchr("{[", *p) && *p)
			depth++, p++;
		else if (strchr("}]", *p) && *p)
			depth--, p++;
		else if (strchr(",:", *p) && *p)
			p++;
		else {
			size_t n = strcspn(p, ",:]} \t\r\n");
			if (n == 0)
				fail("no JSON", p);
			p += n;
		}
	} while (depth > 0);
	return p;
}

/* The first element or member's key of what begins at p, or, behind one, the next; NULL at the end. */
static const char *first(const char *p) { p = space(p + 1); return strchr("]}", *p) ? NULL : p; }
static const char *next(const char *end) { end = space(end); return *end == ',' ? space(end + 1) : NULL; }

/* The value of a member whose key begins at p. */
static const char *member(const char *key) { return space(space(string_end(key)) + 1); }

static bool same(const char *a, const char *b)
{
	size_t n = value_end(a) - a;
	return n == (size_t)(value_end(b) - b) && memcmp(a, b, n) == 0;
}

/* The member of an object with the same key; NULL: there is none. */
static const char *find(const char *object, const char *key)
{
	for (const char *k = *object == '{' ? first(object) : NULL; k; k = next(value_end(member(k))))
		if (same(k, key))
			return member(k);
	return NULL;
}

/* What a name was bound to, in this conversation. */

static struct { char *name, *value; } bound[NAMES];
static int nbound;

static char *copy(const char *value) { return strndup(value, value_end(value) - value); }

static const char *lookup(const char *name)
{
	for (int i = 0; i < nbound; i++)
		if (same(bound[i].name, name))
			return bound[i].value;
	return NULL;
}

static void bind(const char *name, const char *value)
{
	if (nbound == NAMES)
		fail("too many names", name);
	bound[nbound].name = copy(name);
	bound[nbound++].value = copy(value);
}

static void forget(void)
{
	while (nbound > 0) {
		free(bound[--nbound].name);
		free(bound[nbound].value);
	}
}

/* Whether a message has all that is wanted; NULL is a member that is missing. */
static bool matches(const char *want, const char *have)
{
	if (have && strncmp(have, "null", 4) == 0)
		have = NULL;
	if (strncmp(want, "null", 4) == 0 || !have)
		return strncmp(want, "null", 4) == 0 && !have;
	if (strncmp(want, "\"$\"", 3) == 0)
		return true;
	if (strncmp(want, "\"$", 2) == 0) {
		if (!lookup(want))
			bind(want, have);
		return same(lookup(want), have);
	}
	if (*want == '{') {
		for (const char *k = first(want); k; k = next(value_end(member(k))))
			if (!matches(member(k), find(have, k)))
				return false;
		return *have == '{';
	}
	if (*want == '[') {
		const char *w = first(want), *h = *have == '[' ? first(have) : NULL;
		for (; w && h && matches(w, h); w = next(value_end(w)), h = next(value_end(h)))
			;
		return *have == '[' && !w && !h;
	}
	if (strchr("-0123456789", *want))
		return strchr("-0123456789", *have) && strtod(want, NULL) == strtod(have, NULL);
	return same(want, have);
}

/* The server. */

static FILE *in, *out; /* what we say, and what it says */
static pid_t server;
static const char *self;
static char directory[4096]; /* beside this program */

static void start(const char *containment)
{
	char option[64];
	int to[2], from[2];
	snprintf(option, sizeof option, "--contain=%s", containment);
	snprintf(directory, sizeof directory, "%s.XXXXXX", self);
	if (!mkdtemp(directory) || pipe(to) || pipe(from) || (server = fork()) < 0)
		fail("cannot start a server", directory);
	if (server == 0) {
		if (chdir(directory) == 0 && dup2(to[0], 0) == 0 && dup2(from[1], 1) == 1) {
			close(to[0]), close(to[1]), close(from[0]), close(from[1]);
			execl(getenv("SUPERVISE_BIN"), "supervise", "serve", option, NULL);
		}
		_exit(125);
	}
	close(to[0]), close(from[1]);
	in = fdopen(to[1], "w"), out = fdopen(from[0], "r");
	alarm(DEADLINE);
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

/* The exit status of the server, which has nothing more to say. */
static int end(void)
{
	int status;
	if (fgetc(out) != EOF || waitpid(server, &status, 0) != server || !WIFEXITED(status))
		fail("the server has not ended", "");
	if (in)
		fclose(in);
	fclose(out);
	in = out = NULL;
	forget();
	nftw(directory, drop, 8, FTW_DEPTH | FTW_PHYS);
	return WEXITSTATUS(status);
}

/* Writes a request, with what names were bound to; they are strings of their own in it. */
static void say(const char *p, const char *stop)
{
	while (p < stop) {
		const char *q = *p == '"' ? string_end(p) : p + 1;
		const char *value = strncmp(p, "\"$", 2) == 0 ? lookup(p) : NULL;
		value ? fputs(value, in) : (int)fwrite(p, 1, q - p, in);
		p = q;
	}
	fputc('\n', in);
	fflush(in);
}

/* Writes a string, some times over. */
static void write_text(const char *p, long times)
{
	const char *escapes = "n\nr\rt\t", *e, *stop = string_end(p) - 1;
	char *decoded = malloc(stop - p), *d = decoded;
	for (p++; p < stop; p++)
		*d++ = *p != '\\' ? *p : (e = strchr(escapes, *++p)) ? e[1] : *p;
	while (times-- > 0)
		fwrite(decoded, 1, d - decoded, in);
	fflush(in);
	free(decoded);
}

/* Takes the next message that is not to be skipped, and compares. */
static void expect(const char *want, const char *skip)
{
	static char *line;
	static size_t size;
	do {
		if (getline(&line, &size, out) <= 0)
			fail("the end came instead of", want);
	} while (skip && find(line, "\"method\"") && same(find(line, "\"method\""), skip));
	if (!matches(want, line)) {
		fprintf(stderr, "want %s", want);
		fail("have", line);
	}
}

/* Carries out a line; only says whether the conversation is for us. */
static void step(const char *line, const char *containment, bool *only)
{
	static char *skip;
	const char *value, *name = find(line, "\"only\"");
	bool ours = !name || strncmp(name + 1, containment, strlen(containment)) == 0;
	if ((value = find(line, "\"conversation\""))) {
		free(skip);
		skip = NULL;
		if ((*only = ours))
			start(containment);
	} else if (!*only || !ours)
		;
	else if ((value = find(line, "\"send\"")))
		say(value, value_end(value));
	else if ((value = find(line, "\"raw\"")))
		write_text(value, 1);
	else if ((value = find(line, "\"repeat\"")))
		write_text(first(value), strtol(next(value_end(first(value))), NULL, 10));
	else if ((value = find(line, "\"expect\"")))
		expect(value, skip);
	else if ((value = find(line, "\"skip\"")))
		skip = copy(value);
	else if ((value = find(line, "\"close\"")))
		fclose(in), in = NULL;
	else if (!(value = find(line, "\"end\"")) || end() != strtol(value, NULL, 10))
		fail("not so", line);
}

int main(int argc, char *argv[])
{
	FILE *script = argc == 3 && getenv("SUPERVISE_BIN") ? fopen(argv[2], "r") : NULL;
	char *line = NULL;
	size_t size = 0;
	bool only = false;
	self = argv[0];
	if (!script) {
		fprintf(stderr, "usage: SUPERVISE_BIN=PROGRAM serve cgroup|subreaper conformance.jsonl\n");
		return 2;
	}
	for (line_number = 1; getline(&line, &size, script) > 0; line_number++)
		step(line, argv[1], &only);
	free(line);
	fclose(script);
	printf("ok serve, %d lines\n", line_number - 1);
	return 0;
}
