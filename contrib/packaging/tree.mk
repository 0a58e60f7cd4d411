# Installs what is in this directory. Nothing needs to be built.
#
#   make install                      below /usr/local
#   make install PREFIX=$HOME/.local  without root: bin is to be on PATH
#   make install PREFIX=/usr DESTDIR=/tmp/package
#   make uninstall                    with the same; directories that are empty then go as well
PREFIX = /usr/local
ROOT = $(DESTDIR)$(PREFIX)

all:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

install:
	find bin libexec -type f -exec sh -c 'for f; do install -D -m 755 "$$f" "$(ROOT)/$$f" || exit; done' sh {} +
	find lib share -type f -exec sh -c 'for f; do install -D -m 644 "$$f" "$(ROOT)/$$f" || exit; done' sh {} +

uninstall:
	find bin libexec lib share -type f -exec sh -c 'for f; do rm -f "$(ROOT)/$$f"; done' sh {} +
	[ ! -d "$(ROOT)" ] || find bin libexec lib share -depth -type d -exec sh -c \
		'for d; do rmdir --ignore-fail-on-non-empty "$(ROOT)/$$d" 2>/dev/null || :; done' sh {} +

.PHONY: all install uninstall
