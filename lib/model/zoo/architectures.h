#pragma once

#include "zoo/layer.h"
#include "zoo/zoo.h"

// The architectures themselves; specs are completed.
namespace cachectl::zoo {

Layer cifar_resnet(const Spec& spec);  // resnet8, 20, 32, 44, 56, 110
Layer resnet18(const Spec& spec);
Layer resnet50(const Spec& spec);
Layer mobilenet_v2(const Spec& spec);
Layer mobilefacenet(const Spec& spec);
Layer efficientnet_b0(const Spec& spec);
Layer vgg11(const Spec& spec);
Layer vit_small(const Spec& spec);

}  // namespace cachectl::zoo
