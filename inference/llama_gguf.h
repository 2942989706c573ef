// The checks of a model file that need ggml: the values of its weights.
#pragma once

#include <filesystem>

#include "services/common/result.h"

namespace allod::inference {

// Reads every tensor and checks it with ggml: no NaN or infinity in floats and block scales. Reads the whole file;
// memory stays bounded. First validates the header as gguf::ValidateGguf does, with its errors. INVALID_ARGUMENT /
// GGUF_BAD_WEIGHTS names the tensor.
Status ValidateTensorData(const std::filesystem::path& path);

}  // namespace allod::inference
