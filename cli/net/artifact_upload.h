// Sends a file to the catalog's store of artifacts.
#pragma once

#include <string>

#include "allod/catalog/v1/artifact.pb.h"
#include "cli/installation/state_dir.h"
#include "services/common/result.h"

namespace allod::cli::net {

// Shows its progress. A file whose digest the catalog has already is only read. NOT_FOUND, INVALID_ARGUMENT /
// NOT_A_FILE, FAILED_PRECONDITION / CANNOT_READ, and what the catalog refuses it for.
Result<catalog::v1::Artifact> UploadArtifact(const installation::StateDir& state, const std::string& path);

}  // namespace allod::cli::net
