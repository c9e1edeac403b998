# make              lib{{name}}.so, which CalculiX loads
# make test         compare it with numbers that matnet computed
# make run          run both decks; CCX=ccx
# make ccx          ccx_{{library}}: CalculiX with the material linked in; RELINK=script that links it
# make clean
CC = cc
# -march=native: for the processors of this kind only; leave it out for a library that others use
CFLAGS = {{flags}}
CCX = ccx
RELINK = relink
SOURCES = {{sources}}

all: lib{{name}}.so

lib{{name}}.so: $(SOURCES)
	$(CC) -std=c99 $(CFLAGS) -fPIC -fvisibility=hidden -shared -o $@ $(SOURCES) -lm -lpthread

check: check.c check.h expected.h lib{{name}}.so
	$(CC) -std=c99 -O1 -o $@ check.c lib{{name}}.so -lm

test: check
	LD_LIBRARY_PATH=.:$$LD_LIBRARY_PATH ./check

run: lib{{name}}.so
	LD_LIBRARY_PATH=.:$$LD_LIBRARY_PATH $(CCX) one_element
	LD_LIBRARY_PATH=.:$$LD_LIBRARY_PATH $(CCX) part

{{library}}.o: $(SOURCES)
	$(CC) -std=c99 $(CFLAGS) -r -nostdlib -o $@ $(SOURCES)

ccx: {{library}}.o
	sh $(RELINK) ./ccx_{{library}} {{library}}.o -lm -lpthread

clean:
	rm -f lib{{name}}.so check {{library}}.o ccx_{{library}}

.PHONY: all test run ccx clean
