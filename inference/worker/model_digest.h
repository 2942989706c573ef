// A model file on its way into the process: digest, header, then llama.cpp.
#pragma once

#include <filesystem>
#include <string>

#include "inference/llama_runtime.h"
#include "services/common/result.h"

namespace allod::inference::worker {

// Reads the file once, streaming. INVALID_ARGUMENT / INVALID_DIGEST, DIGEST_MISMATCH; NOT_FOUND.
Status CheckDigest(const std::filesystem::path& path, const std::string& sha256);

// Validates the header (the GGUF_... reasons), then loads.
Result<LlamaModelPtr> LoadChecked(const std::filesystem::path& path);

}  // namespace allod::inference::worker
