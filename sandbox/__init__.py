"""Running a submitted detector in a closed container, on Docker and on Podman.

::

    client, engine = connect(docker_host)
    ensure_image(client, archive, image_id)
    spec = ContainerSpec(
        image_id, Phase.PREDICT, data, request, state, output, budget,
        Lease(instance, step, token, worker), gpus=("0",),
    )
    ended = run(client, engine, spec, on_progress=save, should_stop=lease.lost)
    if ended.stopped is None:
        error = outcome(ended, budget)
        scores = read_predictions(output, image_ids, budget) if error is None else None

``limits`` and ``outcome`` decide and touch nothing; ``runner`` acts; ``tree`` and ``output`` read
what a container leaves, which is hostile.
"""
