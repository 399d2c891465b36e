/* Which of the compiled paths this processor takes. See paths.c. */
#ifndef LOCALSEARCH_PATHS_H
#define LOCALSEARCH_PATHS_H

#include "layer.h"
#include "walk.h"

typedef struct {
  const char *name;
  LayerScratch *layer_scratch;
  LayerRun *layer_run;
  WalkGraph *walk_graph;
} Path;

/* The path in use, chosen once; NULL where the processor can run none of them. */
const Path *path_in_use(void);

#endif
