/* All phase laws, included by lanes_wide.c and lanes_1.c. Crystal plasticity and users' own laws have no C kernel. */
#include <string.h>

#include "../law.h"
#include "damage.h"
#include "drucker_prager.h"
#include "ductile_damage.h"
#include "elastic.h"
#include "general_return.h"
#include "radial_return.h"
#include "return_parameters.h"
#include "viscoelastic.h"
#include "void.h"

/* Names as in matnet/law_blocks.py, which also tells which law has which kernel. */
static const matnet_law laws_all[] = {
    {"void", void_kernel, void_check, void_nature},
    {"elastic", elastic_kernel, elastic_check, elastic_nature},
    {"radial-return", radial_return_kernel, radial_return_check, radial_return_nature},
    {"general-return", general_return_kernel, return_parameters_check, general_return_nature},
    {"viscoelastic", viscoelastic_kernel, viscoelastic_check, viscoelastic_nature},
    {"damage", damage_kernel, damage_check, damage_nature},
    {"ductile-damage", ductile_damage_kernel, ductile_damage_check, ductile_damage_nature},
    {"drucker-prager", drucker_prager_kernel, drucker_prager_check, drucker_prager_nature},
};

const matnet_law *MATNET_NAME(matnet_find_law)(const char *name) {
    for (size_t i = 0; i < sizeof laws_all / sizeof laws_all[0]; i++) {
        if (strcmp(laws_all[i].name, name) == 0) return laws_all + i;
    }
    return NULL;
}
