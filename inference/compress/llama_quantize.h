// Compresses a model file: llama_model_quantize, file to file, without an importance matrix.
//
// The type is what is asked for; each tensor gets what llama.cpp's recipe for that type gives it, and where a row's
// width is not a multiple of the type's block, the nearest type that fits: K-quants (blocks of 256) fall back to blocks
// of 32 of the next higher precision (Q2_K and Q3_K to Q4_0, Q4_K to Q5_0, Q5_K to Q5_1, Q6_K to Q8_0), and rows that
// are not a multiple of 32 stay F16. The types really used are read from the output by the validator, never assumed.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod::inference::compress {

// What may be asked for, best quality first: Q8_0, Q6_K, Q5_K_M, Q4_K_M, Q4_0, Q3_K_M, Q2_K, IQ4_NL.
std::vector<std::string> CompressionTypes();
// INVALID_ARGUMENT / UNKNOWN_COMPRESSION lists the types.
Status CheckCompressionType(std::string_view type);

// Blocks; uses `threads` threads. `progress` gets 0 to 1, on the calling thread, one step a tensor. A source that is
// already quantised is compressed again. `output` is removed when it fails: RESOURCE_EXHAUSTED / DISK_FULL,
// FAILED_PRECONDITION / NOT_COMPRESSIBLE with llama.cpp's reason. One call at a time in a process (llama.cpp's log is
// global).
Status Quantize(const std::filesystem::path& input, const std::filesystem::path& output, std::string_view type,
                int threads, const std::function<void(double)>& progress);

}  // namespace allod::inference::compress
