# make              {{library}}.o, the material in C, to be linked with LS-DYNA's own objects
# make test         compile umat41 as well, compare with numbers that matnet computed
# make clean
CC = cc
FC = gfortran
# -march=native: for the processors of this kind only; leave it out for objects that others use
CFLAGS = {{flags}} -fPIC
FFLAGS = -O2 -fdefault-real-8 -fdefault-double-8
SOURCES = {{sources}}

all: {{library}}.o

{{library}}.o: $(SOURCES)
	$(CC) -std=c99 $(CFLAGS) -r -nostdlib -o $@ $(SOURCES)

lsdyna_umat41.o: src/solvers/lsdyna_umat41.f
	$(FC) $(FFLAGS) -c -o $@ src/solvers/lsdyna_umat41.f

check: check.c check.h expected.h {{library}}.o lsdyna_umat41.o
	$(CC) -std=c99 -O1 -c -o check.o check.c
	$(FC) -o $@ check.o {{library}}.o lsdyna_umat41.o -lm -lpthread

test: check
	./check

clean:
	rm -f {{library}}.o lsdyna_umat41.o check.o check

.PHONY: all test clean
