#include "inference/schema/steps.h"

#include "inference/schema/grammar.h"

namespace allod::inference::schema {

void StepBudget::RunOut() { throw TooLarge("its parts combine in more ways than can be gone through; simplify it"); }

}  // namespace allod::inference::schema
