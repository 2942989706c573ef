// What a process driver is told when its process starts: the nodes that an earlier one wrote down, so that they count
// as capacity, or as lost, before their agents have connected again.
#pragma once

#include "services/common/clock.h"
#include "services/scheduling/drivers/process_driver.h"
#include "services/scheduling/store.h"

namespace allod::scheduling::drivers {

// For ReconcilerConfig::prepare. The error is the database's; a node that the driver has no place for is logged.
Status RestoreNodes(Store& store, const Clock& clock, ProcessDriver& driver);

}  // namespace allod::scheduling::drivers
