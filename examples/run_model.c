/* Runs a saved image classifier without Python:
 *
 *     python -c "import flambeau as t; t.jit.script(net.eval()).save('model.pt')"
 *     cc run_model.c $(flambeau runtime) -o run_model && ./run_model model.pt
 */
#include <stdio.h>
#include <stdlib.h>
#include "flambeau.h"

int main(int argc, char** argv) {
    fb_error error;
    fb_model* model = fb_load(argc > 1 ? argv[1] : "model.pt", &error);
    if (!model) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const int64_t sizes[] = {1, 1, 28, 28};
    float* pixels = calloc(28 * 28, sizeof(float));
    fb_value* x = fb_new_tensor(pixels, FB_FLOAT32, 4, sizes, NULL, &error);
    const fb_value* arguments[] = {x};
    fb_value* y = fb_run(model, "forward", arguments, 1, &error);
    fb_tensor scores;
    int ok = y && fb_get_tensor(y, &scores, &error);
    if (ok)
        for (int64_t i = 0; i < scores.sizes[scores.dims - 1]; ++i) printf("%d: %g\n", (int)i, ((float*)scores.data)[i]);
    else
        fprintf(stderr, "%s\n", error.message);
    fb_free_value(y);
    fb_free_value(x);
    fb_free_model(model);
    free(pixels);
    return !ok;
}
