// Checks of a generation request's own numbers, before anything is computed for it.
#pragma once

#include <cstdint>

#include "inference/ports/generation.h"
#include "services/common/result.h"

namespace allod::inference::engine {

// `choices_max`: how many sequences may run for it at once. INVALID_ARGUMENT / INVALID_SAMPLING, INVALID_CONSTRAINT.
Status CheckRequest(const ports::GenerationRequest& request, std::int32_t vocabulary, std::int32_t choices_max);

}  // namespace allod::inference::engine
