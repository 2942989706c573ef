// The two jobs a node does for the catalog: inspect an imported model file, compress one and measure the loss.
//
// Both work on the canonical form of the file (gguf/rewrite.h), a copy without a name where the file itself is not
// canonical: llama.cpp never parses a header that was not written here. Then they read every weight once and refuse
// values that are no numbers. What is published is canonical, too. The answers are InspectResult and CompressResult of
// proto/allod/catalog/v1/job.proto in proto3 JSON. Run in a process of its own (allod-compress): a file that defeats
// all checks takes down only that.
//
// Errors: those of gguf::ValidateGguf, ValidateTensorData, LoadModel, Quantize, CheckGenerative and MeasureQuality;
// FAILED_PRECONDITION / EVALUATION_TEXT_UNREADABLE; INVALID_ARGUMENT / OUTPUT_IS_INPUT.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "inference/compress/job_output.h"
#include "services/common/result.h"

namespace allod::inference::compress {

struct JobOptions {
  std::filesystem::path input;
  // Of Compress: the file to write. Of Inspect: where the canonical form goes if the input is not canonical itself; may
  // be empty. Copies without a name lie in the same directory.
  std::filesystem::path output;
  std::string type;  // of Compress, e.g. "Q4_K_M"
  std::filesystem::path evaluation_text;
  int threads = 1;
};

// With an output, the result also has `artifact_sha256` and `artifact_bytes` of the canonical form: the output's, or,
// where none was written, the input's. Whatever fails, no output file is left.
Result<nlohmann::json> Inspect(const JobOptions& options, JobOutput& out);
// Whatever fails, no output file is left.
Result<nlohmann::json> Compress(const JobOptions& options, JobOutput& out);

}  // namespace allod::inference::compress
