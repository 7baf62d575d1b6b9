"""Other ways to learn the same distribution, trained on the same data with the generator's own network and budget.

``autoencoders``    an autoencoder with a Gaussian mixture over its codes; a variational autoencoder;
``flow_matching``   a velocity field, integrated with 1, 4 or 20 evaluations;
``regression``      the conditional mean, for conditional problems alone;
``ensemble_score``  the generator itself without a discriminator, trained by a fair score: of several draws per
                    condition, or of the whole batch where there is no condition.

Every one makes as many updates, on batches as large, as the generator did. None knows a solver.
"""

from gan.baselines.fitting import Baseline, Fit
from gan.baselines.table import fit_baselines

__all__ = ["Baseline", "Fit", "fit_baselines"]
