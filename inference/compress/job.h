// The two jobs a node does for the catalog: inspect an imported model file, compress one and measure the loss.
//
// Both validate the file with the strict validator before llama.cpp sees it, then read every weight once and refuse
// values that are no numbers. The answers are InspectResult and CompressResult of proto/allod/catalog/v1/job.proto in
// proto3 JSON. Run in a process of its own (allod-compress): a file that defeats all checks takes down only that.
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
  std::filesystem::path output;  // of Compress
  std::string type;              // of Compress, e.g. "Q4_K_M"
  std::filesystem::path evaluation_text;
  int threads = 1;
};

Result<nlohmann::json> Inspect(const JobOptions& options, JobOutput& out);
// Whatever fails, no output file is left.
Result<nlohmann::json> Compress(const JobOptions& options, JobOutput& out);

}  // namespace allod::inference::compress
