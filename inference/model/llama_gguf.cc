#include "inference/model/llama_gguf.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ggml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "inference/gguf/rewrite.h"
#include "inference/gguf/source.h"
#include "inference/gguf/tensors.h"
#include "inference/gguf/types.h"
#include "inference/gguf/validate.h"
#include "services/common/owned_fd.h"

namespace allod::inference::model {
namespace {

constexpr std::uint64_t kPieceBytes = 4 << 20;

bool CanBeChecked(const gguf::TensorType& type) {
  // Integers have no values to refuse, and ggml checks no intermediate types.
  switch (type.id) {
    case GGML_TYPE_Q8_1:
    case GGML_TYPE_Q8_K:
      return false;
    default:
      return type.id < GGML_TYPE_COUNT;
  }
}

Status CheckTensor(gguf::Source& source, std::uint64_t data_offset, const gguf::TensorInfo& tensor,
                   std::vector<std::byte>& buffer) {
  if (!CanBeChecked(*tensor.type)) return {};
  // Whole blocks in each piece.
  const std::uint64_t piece = kPieceBytes / tensor.type->bytes * tensor.type->bytes;
  for (std::uint64_t done = 0; done < tensor.bytes; done += piece) {
    buffer.resize(static_cast<std::size_t>(std::min(piece, tensor.bytes - done)));
    const std::uint64_t at = data_offset + tensor.offset + done;
    if (!source.ReadAt(at, buffer)) {
      return InvalidArgument("GGUF_UNREADABLE", fmt::format("the file cannot be read at byte {}", at));
    }
    if (!ggml_validate_row_data(static_cast<ggml_type>(tensor.type->id), buffer.data(), buffer.size())) {
      return InvalidArgument(
          "GGUF_BAD_WEIGHTS",
          fmt::format("tensor {} has a NaN, an infinity or an impossible scale in the {} bytes from byte {}",
                      tensor.name, buffer.size(), at));
    }
  }
  return {};
}

Status CheckTensors(gguf::Source& source) {
  ALLOD_TRY(const gguf::GgufHeader header, gguf::ReadHeader(source));
  std::vector<std::byte> buffer;
  for (const gguf::TensorInfo& tensor : header.tensors) {
    ALLOD_CHECK_OK(CheckTensor(source, header.summary.data_offset, tensor, buffer));
  }
  return {};
}

}  // namespace

Status ValidateTensorData(const std::filesystem::path& path) {
  ALLOD_TRY(const auto source, gguf::OpenSource(path));
  return CheckTensors(*source);
}

Status ValidateTensorData(int fd) {
  ALLOD_TRY(const auto source, gguf::OpenSource(fd));
  return CheckTensors(*source);
}

Result<CheckedModel> LoadCheckedModel(int fd, const LoadOptions& options) {
  ALLOD_TRY(const gguf::CanonicalFile file, gguf::OpenCanonical(fd));
  ALLOD_TRY(LlamaModelPtr model, LoadModel(file.fd(), options));
  return CheckedModel{std::move(model), file.model(), file.is_copy()};
}

Result<CheckedModel> LoadCheckedModel(const std::filesystem::path& path, const LoadOptions& options) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return NotFound(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  return LoadCheckedModel(file.get(), options);
}

}  // namespace allod::inference::model
