# make              libmatnet_umat.a and libmatnet_umat.so
# make test         compare with numbers that matnet computed
# make clean
CC = cc
AR = ar
# -march=native: for the processors of this kind only; leave it out for a library that others use
CFLAGS = {{flags}} -fPIC
SOURCES = $(filter-out material_data.c,{{sources}})
OBJECTS = $(SOURCES:.c=.o)

all: libmatnet_umat.a libmatnet_umat.so

.c.o:
	$(CC) -std=c99 $(CFLAGS) -c -o $@ $<

libmatnet_umat.a: $(OBJECTS)
	rm -f $@
	$(AR) rcs $@ $(OBJECTS)

libmatnet_umat.so: $(OBJECTS)
	$(CC) -shared -o $@ $(OBJECTS) -lm

check: check.c check.h expected.h libmatnet_umat.a
	$(CC) -std=c99 -O1 -o $@ check.c libmatnet_umat.a -lm

test: check
	./check material.matnet

clean:
	rm -f $(OBJECTS) libmatnet_umat.a libmatnet_umat.so check

.PHONY: all test clean
