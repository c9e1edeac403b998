# make              {{library}}-std.o for Abaqus/Standard, {{library}}-xplD.o for Abaqus/Explicit in double precision
# make test         compare both with numbers that matnet computed
# make clean
CC = cc
# -march=native: for the processors of this kind only; leave it out for objects that others use
CFLAGS = {{flags}} -fPIC
SOURCES = {{sources}}
STANDARD = $(filter-out src/solvers/abaqus_vumat.c,$(SOURCES))
EXPLICIT = $(filter-out src/solvers/abaqus_umat.c,$(SOURCES))

all: {{library}}-std.o {{library}}-xplD.o

{{library}}-std.o: $(SOURCES)
	$(CC) -std=c99 $(CFLAGS) -r -nostdlib -o $@ $(STANDARD)

{{library}}-xplD.o: $(SOURCES)
	$(CC) -std=c99 $(CFLAGS) -r -nostdlib -o $@ $(EXPLICIT)

check: check.c check.h expected.h {{library}}-std.o
	$(CC) -std=c99 -O1 -o $@ check.c {{library}}-std.o -lm -lpthread

check_explicit: check_explicit.c check.h expected.h {{library}}-xplD.o
	$(CC) -std=c99 -O1 -o $@ check_explicit.c {{library}}-xplD.o -lm -lpthread

test: check check_explicit
	./check
	./check_explicit

clean:
	rm -f {{library}}-std.o {{library}}-xplD.o check check_explicit

.PHONY: all test clean
