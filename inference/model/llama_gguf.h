// The checks of a model file that need ggml, and the door through which every model file reaches llama.cpp.
#pragma once

#include <filesystem>

#include "inference/gguf/model.h"
#include "inference/model/llama_runtime.h"
#include "services/common/result.h"

namespace allod::inference::model {

// Reads every tensor and checks it with ggml: no NaN or infinity in floats and block scales. Reads the whole file;
// memory stays bounded. First validates the header as gguf::ValidateGguf does, with its errors. INVALID_ARGUMENT /
// GGUF_BAD_WEIGHTS names the tensor.
Status ValidateTensorData(const std::filesystem::path& path);
Status ValidateTensorData(int fd);

struct CheckedModel {
  LlamaModelPtr model;
  gguf::CheckedHeader file;
  // The file was not canonical, so what was loaded is a canonical copy of it in anonymous memory.
  bool is_copy = false;
};

// Checks the file as gguf::ReadModel does, with its errors, and loads it: directly when it is canonical, else from a
// sealed copy in memory, so that llama.cpp parses only headers that were written here. The file must not change while
// it is mapped. Starts no thread that outlives the call, and needs no file system if InitLlama() was called before; so
// a process may confine itself, load, and fork. The descriptor stays the caller's and may be closed afterwards.
Result<CheckedModel> LoadCheckedModel(int fd, const LoadOptions& options = {});
// NOT_FOUND as well.
Result<CheckedModel> LoadCheckedModel(const std::filesystem::path& path, const LoadOptions& options = {});

}  // namespace allod::inference::model
